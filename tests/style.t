#!/usr/bin/perl
# style.t - the rules of CONTRIBUTING.md that a program can check
# SPDX-License-Identifier: Apache-2.0
use strict;
use warnings;

my $count = 0;
my $failed = 0;

# ok(words, places): passes when no place broke the rule; else names the first twenty.
sub ok {
    my ($words, @places) = @_;
    $count++;
    print @places ? "not " : "", "ok $count - $words\n";
    $failed++ if @places;
    print "#   $_\n" for @places > 20 ? (@places[0 .. 19], "and " . (@places - 20) . " more") : @places;
}

sub lines_of {
    my ($file) = @_;
    open my $in, '<:encoding(UTF-8)', $file or die "$file: $!";
    my @lines = <$in>;
    chomp @lines;
    return @lines;
}

sub columns {
    my ($line) = @_;
    1 while $line =~ s/^([^\t]*)\t/$1 . ' ' x (8 - length($1) % 8)/e;
    return length $line;
}

my $build = $ENV{BUILD} // 'build';
my @tracked = split /\n/, `git ls-files`;
my @sources = grep { m{\.[ch]$} && -e } @tracked;
my @code = grep { !m{^(tests|bench)/} } @sources;
my @headers = grep { m{\.h$} } @sources;
my @programs = map { m{^(\w+)/main\.c$} ? $1 : () } @sources;
my %line = map { $_ => [lines_of($_)] } @sources;

# All lines of these files that match, as places; comments are passed over where asked.
sub grep_lines {
    my ($files, $regex) = @_;
    my @places;
    for my $file (@$files) {
        my $n = 0;
        for my $text (@{ $line{$file} }) {
            $n++;
            (my $bare = $text) =~ s{//.*|/\*.*?\*/|^\s*\*.*|/\*.*|"(\\.|[^"\\])*"}{}g;
            push @places, "$file:$n: $text" if $bare =~ $regex;
        }
    }
    return @places;
}

ok('there is code to look at', @sources > 20 ? () : scalar(@sources) . ' files');
ok('lines have at most 100 columns', map {
    my $file = $_;
    my $n = 0;
    map { $n++; columns($_) > 100 ? "$file:$n" : () } @{ $line{$file} };
} @sources);
ok('tabs indent, no space at the end', map {
    my $file = $_;
    my $n = 0;
    map { $n++; /^ {8}|[ \t]$/ ? "$file:$n" : () } @{ $line{$file} };
} @sources);
ok('files have at most 1,000 lines', grep { @{ $line{$_} } > 1000 } @sources);
ok('the Makefile has at most 80 lines', lines_of('Makefile') > 80 ? scalar(lines_of('Makefile')) : ());

my @long;
for my $file (@sources) {
    my ($start, $n) = (0, 0);
    for my $text (@{ $line{$file} }) {
        $n++;
        $start = $n if $text =~ /^\{/;
        push @long, "$file:$start: " . ($n - $start) . ' lines'
            if $text =~ /^\}/ && $start && $n - $start > 71;
        $start = 0 if $text =~ /^\}/;
    }
}
ok('functions have at most 70 lines', @long);

ok('headers and main.c begin with "/* name - what"', grep {
    my ($name) = m{([^/]+)/main\.c$} ? $1 : m{([^/]+)\.h$};
    $line{$_}[0] !~ m{^/\* \Q$name\E - \S};
} grep { m{\.h$|/main\.c$} } @sources);
ok('each source names its licence', grep {
    my $file = $_;
    !grep { m{SPDX-License-Identifier: Apache-2\.0} } @{ $line{$file} };
} @sources);
ok('no calls that lose lengths', grep_lines(\@code,
    qr/\b(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|alloca|gets)\s*\(/));
ok('no typedef but for function types', grep_lines(\@code, qr/^\s*typedef (?!.*\()/));
ok('lib includes no program', grep_lines_raw([grep { m{^lib/} } @code],
    qr{#include "(?!lib/)}));
ok('programs include only lib and themselves', map {
    my $program = $_;
    grep_lines_raw([grep { m{^$program/} } @code], qr{#include "(?!lib/|$program/)});
} @programs);
# One line of filter.c: the signal handler of filter_await.
ok('only opt_main and filter_exit print or exit',
    grep { !m{^lib/opt_print\.c|/main\.c|^lib/filter\.c:\d+:\s+_exit\(0\);} }
    grep_lines(\@code, qr/\b(exit|_exit|printf|puts|perror)\s*\(/));

sub grep_lines_raw {
    my ($files, $regex) = @_;
    my @places;
    for my $file (@$files) {
        my $n = 0;
        for my $text (@{ $line{$file} }) {
            $n++;
            push @places, "$file:$n: $text" if $text =~ $regex;
        }
    }
    return @places;
}

# enum name { PREFIX_A, PREFIX_B }: one prefix for all.
my @enums;
for my $file (@headers) {
    my $text = join "\n", @{ $line{$file} };
    $text =~ s{/\*.*?\*/|//[^\n]*}{}gs;
    while ($text =~ /enum\s+(\w+)\s*\{([^}]*)\}/g) {
        my ($name, $body) = ($1, $2);
        my %prefix = map { /^\s*([A-Z0-9]+)_/ ? ($1 => 1) : /^\s*$/ ? () : ("none in '$_'" => 1) }
            grep { !/\(/ } split /,/, $body;
        push @enums, "$file: enum $name: " . join(' ', sort keys %prefix) if keys %prefix > 1;
    }
}
ok('the constants of an enum share a prefix', @enums);

# .data and .bss of what the programs link: nothing of ours may be there.
my @globals;
for my $object (grep { !m{/(tests|bench)/|yyjson} } split /\n/, `find $build/obj -name '*.o'`) {
    (my $source = $object) =~ s{^\Q$build\E/obj/(.*)\.o$}{$1.c};
    next unless -e $source && $build !~ /san/;
    push @globals, "$source: $_" for map {
        /\s[lg]\s+O\s+\.t?(?:data|bss)(?!\.rel\.ro)(?:\.\S+)?\s+[0-9a-f]+\s+(\S+)$/ ? $1 : ()
    } split /\n/, `objdump -t $object`;
}
ok('no writable globals or statics', @globals);

my @names;
for my $file (grep { -f && !m{^tests/style\.t$|^LICENSE$} && -T } @tracked) {
    my $n = 0;
    for my $text (lines_of($file)) {
        $n++;
        push @names, "$file:$n: $text" if $text =~ m{
            registry\.npmjs|pypi\.org|repo1?\.maven|files\.pythonhosted|deb\.debian\.org|proxy\.golang
            |(?<![\w.])/(?:work|root)/}x;
    }
}
ok('no registry host, no path of a machine', @names);
ok('scripts can be run', grep { !-x } grep { m{^tests/.*\.t$|^\.ci/|^tests/run$|^bench/run$} } @tracked);

print "1..$count\n";
exit($failed ? 1 : 0);
