#!/usr/bin/perl
# mmdb.pl DIR - databases as MaxMind, DB-IP and ip-location-db lay them out, for tests
# SPDX-License-Identifier: Apache-2.0
use strict;
use warnings;
use utf8;
use MaxMind::DB::Writer::Tree;

my ($dir) = @ARGV;
my %types = (
    country => 'map', registered_country => 'map', city => 'map', location => 'map', names => 'map',
    subdivisions => ['array', 'map'], iso_code => 'utf8_string', en => 'utf8_string', de => 'utf8_string',
    latitude => 'double', longitude => 'double', country_code => 'utf8_string', state1 => 'utf8_string',
    autonomous_system_number => 'uint32', autonomous_system_organization => 'utf8_string',
);

sub tree {
    my ($file, $type, $version, $flat, @rows) = @_;
    my $tree = MaxMind::DB::Writer::Tree->new(
        ip_version => $version, record_size => 24, database_type => $type, languages => ['en'],
        description => { en => 'test' }, remove_reserved_networks => 0,
        map_key_type_callback => sub {
            return 'utf8_string' if $flat && $_[0] eq 'city';
            return 'float' if $flat && $_[0] =~ /tude$/;
            return $types{ $_[0] };
        },
    );
    $tree->insert_network(@$_) for @rows;
    open my $out, '>:raw', "$dir/$file" or die "$file: $!";
    $tree->write_tree($out);
}

my $london = {
    country => { iso_code => 'GB', names => { en => 'United Kingdom' } },
    subdivisions => [{ iso_code => 'ENG', names => { en => 'England' } }],
    city => { names => { en => 'London', de => 'London' } },
    location => { latitude => 51.5142, longitude => -0.0931 },
};
tree('nested.mmdb', 'GeoLite2-City', 6, 0,
    ['81.2.69.0/24', $london],
    ['81.2.70.0/24', { registered_country => { iso_code => 'FR' } }],
    ['10.0.0.0/8', $london],
    ['2a02:ec80::/32', { country => { iso_code => 'NL' }, city => { names => { en => 'Den Haag' } } }]);
tree('flat4.mmdb', 'city ipv4', 4, 1,
    ['130.237.0.0/16', { country_code => 'SE', state1 => 'Stockholm', city => 'Stockholm (Östermalm)',
        latitude => 59.3326, longitude => 18.0649 }]);
tree('flat6.mmdb', 'city ipv6', 6, 1,
    ['2001:6b0::/32', { country_code => 'SE', city => 'Uppsala', latitude => 59.8586, longitude => 17.6389 }]);
tree('asn.mmdb', 'GeoLite2-ASN', 6, 0,
    ['81.2.69.0/24', { autonomous_system_number => 20712, autonomous_system_organization => 'Andrews & Arnold Ltd' }],
    ['2001:6b0::/32', { autonomous_system_number => 1653 }]);
