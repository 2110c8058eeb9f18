# All programs in one image; each container runs one of them. Not run where it was written: there
# was no Docker; tests/compose.t checks what can be checked without.
FROM debian:12 AS build
WORKDIR /millrace
COPY . .
RUN .ci/install build && make && make install DESTDIR=/image

FROM debian:12-slim
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      librdkafka1 libhttp-parser2.9 libavro23 libyaml-0-2 libzstd1 libsnappy1v5 libxxhash0 libssl3 \
      libcurl4 libpq5 libjq1 libmaxminddb0 libcrypt1 libpcre2-8-0 zlib1g ca-certificates tzdata \
      uap-core tor-geoipdb publicsuffix && rm -rf /var/lib/apt/lists/* && useradd -r -m -d /var/lib/millrace millrace
COPY --from=build /image/ /
USER millrace
WORKDIR /var/lib/millrace
STOPSIGNAL SIGTERM
CMD ["millrace", "--help"]
