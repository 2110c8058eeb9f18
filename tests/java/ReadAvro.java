// ReadAvro - records of Avro files as JSON lines, by Apache Avro's own library
//
//      java -cp "build/avro:build/avro/lib/*" ReadAvro FILE..
//
// A line is the record's fields by name in the schema's order; longs as such, text as JSON text. It is
// what tests/interop.py makes of fastavro's records, byte for byte.
// SPDX-License-Identifier: Apache-2.0
import java.io.BufferedOutputStream;
import java.io.File;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.apache.avro.Schema;
import org.apache.avro.file.DataFileReader;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;

public class ReadAvro {
    static void text(StringBuilder out, CharSequence value) {
        out.append('"');
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c == '\n') {
                out.append("\\n");
            } else if (c < 0x20 || c > 0x7e) {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        out.append('"');
    }

    static void value(StringBuilder out, Object value) {
        if (value instanceof GenericRecord record) {
            char before = '{';
            for (Schema.Field field : record.getSchema().getFields()) {
                out.append(before).append('"').append(field.name()).append("\":");
                value(out, record.get(field.pos()));
                before = ',';
            }
            out.append('}');
        } else if (value instanceof CharSequence chars) {
            text(out, chars);
        } else if (value instanceof ByteBuffer bytes) {
            text(out, StandardCharsets.ISO_8859_1.decode(bytes.duplicate()));
        } else {
            out.append(value);
        }
    }

    public static void main(String[] args) throws Exception {
        try (PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 20))) {
            StringBuilder line = new StringBuilder();
            for (String name : args) {
                try (DataFileReader<GenericRecord> file =
                        new DataFileReader<>(new File(name), new GenericDatumReader<>())) {
                    for (GenericRecord record : file) {
                        line.setLength(0);
                        value(line, record);
                        out.append(line).append('\n');
                    }
                }
            }
        }
    }
}
