// SPDX-License-Identifier: Apache-2.0
#include "sink/encoder.h"

int encoder_open(struct encoder **encoderp, const struct encoder_conf *conf, struct err *err)
{
	if (conf->format == FILE_FORMAT_AVRO)
		return encoder_open_avro(encoderp, conf, err);
	return encoder_open_jsonl(encoderp, conf, err);
}

void encoder_close(struct encoder *encoder)
{
	if (encoder)
		encoder->ops->close(encoder);
}

int encoder_begin(struct encoder *encoder, const struct file_name *name, struct buf *out)
{
	encoder->bytes = 0;
	return encoder->ops->begin(encoder, name, out);
}

int encoder_put(struct encoder *encoder, const struct value *fields, struct buf *out)
{
	return encoder->ops->put(encoder, fields, out);
}

int encoder_end(struct encoder *encoder, struct buf *out)
{
	return encoder->ops->end(encoder, out);
}
