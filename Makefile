# millrace: `make demo` shows it, `make test` proves it. Adding a file needs no edit here.
BUILD    ?= build
OPT      ?= -O2 -g
CC       ?= cc
PREFIX   ?= /usr/local
PROGRAMS := $(patsubst %/main.c,%,$(wildcard */main.c))
YYJSON   := build/yyjson
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
            -Wformat=2 -Wvla -Wundef -Werror
# For use, gcc: make LTO="-flto=auto -ffat-lto-objects" (12 % less CPU in enrich; builds take twice as long).
LTO      ?=
HARDEN   ?= -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
CPPFLAGS += -D_GNU_SOURCE -I. -isystem $(YYJSON) -MMD -MP
CFLAGS   += -std=c17 $(OPT) $(WARN) $(HARDEN) $(LTO) -pthread
LDFLAGS  += -pthread -pie -fno-lto -Wl,-z,relro,-z,now
LDLIBS   += -Wl,--as-needed -lrdkafka -lhttp_parser -lavro -lyaml -lzstd -lsnappy -lxxhash -lcrypto -lcurl -lpq -ljq -lpcre2-8 -lmaxminddb -lcrypt -lz -lm

BINS     := $(PROGRAMS:%=$(BUILD)/bin/%)
TESTS    := $(patsubst tests/%.c,$(BUILD)/test/%,$(wildcard tests/*_test.c))
HELPERS  := $(patsubst tests/tool_%.c,$(BUILD)/test/tool_%,$(wildcard tests/tool_*.c))
PRELOADS := $(patsubst tests/preload_%.c,$(BUILD)/test/preload_%.so,$(wildcard tests/preload_*.c))
BENCHES  := $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/*.c))
FUZZERS  := $(patsubst tests/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz_*.c))
objects   = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(1)/*.c))
of        = $(firstword $(subst _, ,$(1)))
all: $(BINS)
# The programs' code without main() is an archive, so that tests link what they test.
define program
$(BUILD)/$(1).a: $(filter-out %/main.o,$(call objects,$(1)))
	@rm -f $$@; ar rcs $$@ $$^
$(BUILD)/bin/$(1): $(BUILD)/obj/$(1)/main.o $(BUILD)/$(1).a $(BUILD)/lib.a
	@mkdir -p $$(@D); $(CC) $(filter-out $(if $(LTO),-fno-lto),$(LDFLAGS)) $(OPT) $(LTO) -o $$@ $$^ $(LDLIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

$(BUILD)/lib.a: $(call objects,lib) $(BUILD)/obj/yyjson.o
	@rm -f $@; ar rcs $@ $^
$(BUILD)/obj/%.o: %.c Makefile | $(YYJSON)/yyjson.h
	@mkdir -p $(@D); $(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(BUILD)/obj/lib/schema_own.o $(BUILD)/obj/enrich/own_list.o: $(wildcard schemas/*.avsc schemas/history/*.avsc enrich/*.yaml)
$(BUILD)/obj/yyjson.o: $(YYJSON)/yyjson.h
	@mkdir -p $(@D); $(CC) $(OPT) $(LTO) -fno-sanitize=undefined -std=c99 -fPIE -c -o $@ $(YYJSON)/yyjson.c
$(YYJSON)/yyjson.h: ; .ci/install yyjson $(YYJSON)
build/web/assets.inc: report/pack $(wildcard report/web/*) ; report/pack build/web
$(BUILD)/obj/report/asset_own.o: build/web/assets.inc
.SECONDARY .SECONDEXPANSION:
$(BUILD)/test/%_test: $(BUILD)/obj/tests/%_test.o \
		$$(addprefix $(BUILD)/,$$(addsuffix .a,$$(filter $(PROGRAMS),$$(call of,$$*)))) $(BUILD)/lib.a
	@mkdir -p $(@D); $(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/test/tool_%: $(BUILD)/obj/tests/tool_%.o $(BUILD)/lib.a
	@mkdir -p $(@D); $(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/test/preload_%.so: tests/preload_%.c
	@mkdir -p $(@D); $(CC) -D_GNU_SOURCE $(WARN) -std=c17 -O1 -g -shared -fPIC -o $@ $< -ldl
$(BUILD)/bench/%: $(BUILD)/obj/bench/%.o $(foreach p,$(PROGRAMS),$(BUILD)/$(p).a) $(BUILD)/lib.a
	@mkdir -p $(@D); $(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/%.o $(foreach p,$(PROGRAMS),$(BUILD)/$(p).a) $(BUILD)/lib.a
	@mkdir -p $(@D); $(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

deps-%: ; @.ci/install $*
test: deps-test
	@$(MAKE) --no-print-directory all tools && tests/run $(BUILD)
tools: $(TESTS) $(HELPERS) $(PRELOADS)
fuzzers: $(FUZZERS)
asan:
	@$(MAKE) --no-print-directory BUILD=build/asan CC=clang-14 HARDEN= LTO= all tools fuzzers \
	  OPT="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all" \
	  LDFLAGS="-pthread -fsanitize=address,undefined" && tests/run build/asan
tsan:
	@$(MAKE) --no-print-directory BUILD=build/tsan HARDEN= LTO= OPT="-O1 -g -fsanitize=thread -Wno-format-truncation" \
	  LDFLAGS="-pthread -fsanitize=thread" all $(patsubst %,build/tsan/test/%_test,$(addprefix lib_,bus_log bus_pipe filter httpd loop metric stamp) $(addprefix aggregate_,count funnel saved store trend)) && tests/run build/tsan
bench: deps-bench
	@$(MAKE) --no-print-directory all tools $(BENCHES) && bench/run $(BUILD)
demo: deps-demo
	@$(MAKE) --no-print-directory all && $(BUILD)/bin/millrace demo
install: all
	install -D -t $(DESTDIR)$(PREFIX)/bin $(BINS)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 docs/man/*.8
clean: ; rm -rf build
.PHONY: all test tools asan tsan fuzzers bench demo install clean
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
