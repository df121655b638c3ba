# `make` builds the lessons and the local site; `make help` lists what else it can do.

# Every rule is here: to look whether one of make's own would do takes longer than all else.
MAKEFLAGS += --no-builtin-rules

BUILD ?= build
# From here, since a path that begins elsewhere may have spaces in it.
override BUILD := $(subst $(CURDIR)/,,$(BUILD))
CFLAGS ?= -O2 -g
PACKAGES = libcurl libssl gumbo zlib libbrotlidec libzstd
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes
# := asks pkg-config once, and not for each file.
PACKAGE_FLAGS := $(shell pkg-config --cflags $(PACKAGES))
# A cleanup handler of pthreads belongs to its stack only with -fexceptions; without, to the
# thread, whose fibers would mix theirs up (pthread_cleanup_push(3)). And a function with a large
# frame must not jump over the guard of a fiber's stack: -fstack-clash-protection has it touch
# each page of its frame.
override CFLAGS += -std=c17 -D_GNU_SOURCE -pthread -fexceptions -fstack-clash-protection \
	$(WARNINGS) -Ishared $(PACKAGE_FLAGS)
# Only what uses a cluster needs libnats: the linker leaves it out of the other programs.
LIBRARIES := $(shell pkg-config --libs $(PACKAGES)) -lunistring -lm \
	-Wl,--as-needed $(shell pkg-config --libs libnats)
SITE_LIBRARIES := $(shell pkg-config --libs libmicrohttpd zlib)

# A cluster runs the tasks of one build only, and knows it by this number (ld(1)).
override LDFLAGS += -Wl,--build-id

# SANITIZE=address,undefined or SANITIZE=thread builds with gcc's sanitizers.
ifdef SANITIZE
override CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif

LESSONS = $(notdir $(patsubst %/main.c,%,$(wildcard lessons/*/main.c)))
PROGRAMS = $(LESSONS:%=$(BUILD)/%)
SHARED = $(patsubst %.c,$(BUILD)/%.o,$(wildcard shared/*.c shared/executor/*.c))
PRELOADED = $(patsubst tests/preload/%.c,$(BUILD)/%.so,$(wildcard tests/preload/*.c))
SITE = $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/site/*.c))
STORM = $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/executor/storm/*.c)) \
	$(BUILD)/tests/executor/processes.o
EXECUTOR_TEST = $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/executor/*.c))
UNIT_TESTS = $(patsubst tests/shared/%.c,$(BUILD)/tests/%,$(wildcard tests/shared/*.c)) \
	$(BUILD)/tests/executor_test $(BUILD)/tests/storm
FUZZERS = $(patsubst tests/fuzz/%.c,%,$(filter-out %/check.c,$(wildcard tests/fuzz/*.c)))
SOURCES = $(wildcard tests/preload/*.[ch] tests/explore/*.[ch] shared/*.[ch] shared/executor/*.[ch] \
	lessons/*/*.[ch] lessons/*/*/*.[ch] tests/right/*/*.[ch] scripts/*.c scripts/*/*.c tests/site/*.[ch] tests/shared/*.[ch] tests/executor/*.[ch] \
	tests/executor/storm/*.[ch] tests/fuzz/*.[ch] \
	bench/*.[ch] bench/*/*.[ch])

# What scripts/bench runs: our side, and each peer whose library or compiler is here.
BENCH := executor floor measure pages/bare cluster/executor cluster/nats \
	$(if $(shell pkg-config --modversion glib-2.0 2>/dev/null),tasks/glib) \
	$(if $(shell pkg-config --modversion libuv 2>/dev/null),tasks/libuv) \
	$(if $(shell pkg-config --modversion gearmand 2>/dev/null),cluster/gearman)
BENCH_PROGRAMS = $(BENCH:%=$(BUILD)/bench/%)
BENCH_GO := $(if $(shell command -v go),$(BUILD)/bench/tasks/go $(BUILD)/bench/events/go)

.PHONY: all lessons site unit-tests fuzzers bench program executor-test explored \
	explored-library with-pages run cluster test learn watch book figures fuzz lint tidy format \
	clean help compile_commands.json
.DELETE_ON_ERROR:
.SECONDARY:

all: lessons site $(BUILD)/timeline

lessons: $(PROGRAMS) ## build the lessons
site: $(BUILD)/site $(PRELOADED) $(BUILD)/explore.so $(BUILD)/tests/explore/pages.o ## build the local site
unit-tests: $(UNIT_TESTS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

# Where Valgrind's header is, fiber.c tells Valgrind of its stacks. If that is installed later,
# fiber.c is compiled again. (A rule of its own would make with-valgrind when nothing needs it
# any more: see .SECONDARY.)
ifneq ($(wildcard /usr/include/valgrind/valgrind.h),)
$(if $(wildcard $(BUILD)/with-valgrind),,$(shell mkdir -p $(BUILD) && touch $(BUILD)/with-valgrind))
$(BUILD)/shared/fiber.o: $(BUILD)/with-valgrind
endif

$(BUILD)/libshared.a: $(SHARED)
	@rm -f $@
	$(AR) rcs $@ $^

$(PROGRAMS): $(BUILD)/%: $(BUILD)/lessons/%/main.o $(BUILD)/libshared.a
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LIBRARIES) -o $@

$(BUILD)/timeline: $(BUILD)/scripts/timeline.o $(BUILD)/libshared.a
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LIBRARIES) -o $@

$(BUILD)/site: $(SITE)
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(SITE_LIBRARIES) -o $@

# They are preloaded by checks, before a sanitizer: so they have none of their own.
$(BUILD)/%.so: tests/preload/%.c tests/preload/next.h
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE -O2 $(WARNINGS) -fPIC -shared $< -ldl -o $@

# The explorer is preloaded, and what is explored is linked with it too: it has the functions that
# -fsanitize=thread calls.
$(BUILD)/explore.so: $(filter-out %/pages.c,$(wildcard tests/explore/*.c)) tests/explore/explore.h \
		tests/preload/next.h
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE -O2 -g $(WARNINGS) -fPIC -fvisibility=hidden -shared \
		-pthread -Wl,-soname,explore.so $(filter %.c,$^) -o $@

$(BUILD)/tests/%: $(BUILD)/tests/shared/%.o $(BUILD)/libshared.a
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LIBRARIES) $(shell pkg-config --libs cmocka) -o $@

$(BUILD)/tests/executor_test: $(EXECUTOR_TEST) $(BUILD)/libshared.a
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LIBRARIES) $(shell pkg-config --libs cmocka) -o $@

# The executor, compiled like a program that is explored: its atomic variables order things too.
$(BUILD)/explored/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -O1 -fsanitize=thread -MMD -MP -c $< -o $@

$(BUILD)/libexplored.a: $(patsubst %.c,$(BUILD)/explored/%.o,$(wildcard shared/executor/*.c))
	@rm -f $@
	$(AR) rcs $@ $^

explored-library: $(BUILD)/libexplored.a $(BUILD)/explore.so

$(BUILD)/tests/executor_explored: $(EXECUTOR_TEST) $(BUILD)/explore.so $(BUILD)/libexplored.a \
		$(BUILD)/libshared.a
	$(CC) $(CFLAGS) -no-pie $^ $(LDFLAGS) $(LIBRARIES) $(shell pkg-config --libs cmocka) -o $@

# Only clang has libFuzzer: see scripts/fuzz.
fuzzers: $(FUZZERS:%=$(BUILD)/fuzz/%)

$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/check.o $(BUILD)/libshared.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -fsanitize=fuzzer $^ $(LDFLAGS) $(LIBRARIES) -o $@

# Its chaos lets allocations fail.
$(BUILD)/tests/storm: $(STORM) $(BUILD)/libshared.a
	$(CC) $(CFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup $^ \
		$(LDFLAGS) $(LIBRARIES) -o $@

bench: $(BENCH_PROGRAMS) $(BENCH_GO) ## build what scripts/bench measures

$(BENCH_PROGRAMS): $(BUILD)/bench/%: $(BUILD)/bench/%.o $(BUILD)/bench/common.o \
		$(BUILD)/libshared.a
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(BENCH_LIBRARIES) -lm -o $@

$(addprefix $(BUILD)/bench/,floor cluster/executor cluster/nats): BENCH_LIBRARIES = $(LIBRARIES)
$(BUILD)/bench/tasks/glib.o: override CFLAGS += $(shell pkg-config --cflags glib-2.0)
$(BUILD)/bench/tasks/glib: BENCH_LIBRARIES = $(shell pkg-config --libs glib-2.0)
$(BUILD)/bench/tasks/libuv: BENCH_LIBRARIES = $(shell pkg-config --libs libuv)
$(BUILD)/bench/cluster/gearman: BENCH_LIBRARIES = $(shell pkg-config --libs gearmand)

# What Go keeps of what it has compiled stays in here too, and is not the user's.
$(BENCH_GO): $(BUILD)/bench/%/go: bench/%/go/main.go
	@mkdir -p $(@D)
	GOCACHE="$$(cd $(@D)/.. && pwd)/go-cache" GO111MODULE=off go build -o $@ $<

# Builds the sources in the folder $FROM, somebody's own version of a lesson, as $TO, and what
# it has of its own as $TO.o. The paths come through the environment, where they may hold
# what they like; so does $OPTIMIZE, which may be -O0 for what is built to be run once.
program: $(BUILD)/libshared.a
	$(CC) $(CFLAGS) $$OPTIMIZE -I"$$FROM" -r "$$FROM"/*.c -o "$$TO.o"
	$(CC) $(CFLAGS) "$$TO.o" $< $(LDFLAGS) $(LIBRARIES) -o "$$TO"

# Pages that are there at once, in the place of the network.
PAGES := $(BUILD)/tests/explore/pages.o -Wl,--wrap=get_title,--wrap=http_open,--wrap=http_close

# The same to be explored, with pages that are there at once. (-no-pie: then the addresses of its
# steps are those in the file.)
explored: $(BUILD)/tests/explore/pages.o $(BUILD)/libexplored.a $(BUILD)/libshared.a $(BUILD)/explore.so
	$(CC) $(CFLAGS) -O1 -fsanitize=thread -I"$$FROM" -r "$$FROM"/*.c -o "$$TO.o"
	$(CC) $(CFLAGS) -no-pie "$$TO.o" $(BUILD)/explore.so $(PAGES) $(BUILD)/libexplored.a \
		$(BUILD)/libshared.a $(LDFLAGS) -Wl,--as-needed $(LIBRARIES) -o "$$TO"

# The same with these pages, and without the explorer.
with-pages: $(BUILD)/tests/explore/pages.o $(BUILD)/libshared.a
	$(CC) $(CFLAGS) -I"$$FROM" "$$FROM"/*.c $(PAGES) $(BUILD)/libshared.a $(LDFLAGS) \
		-Wl,--as-needed $(LIBRARIES) -o "$$TO"

# The same for the executor's test: $FROM is somebody's own version of shared/executor.
executor-test: $(BUILD)/tests/executor_test
	$(CC) $(CFLAGS) $$OPTIMIZE -I"$$FROM" "$$FROM"/*.c $(EXECUTOR_TEST) $(BUILD)/libshared.a \
		$(LDFLAGS) $(LIBRARIES) $(shell pkg-config --libs cmocka) -o "$$TO"

run: ## run every lesson on the local site
	scripts/run
cluster: ## start a cluster on this machine, for lesson 11
	scripts/cluster start
test: ## run all the checks
	scripts/test
fuzz: ## feed the parsers with random input, five seconds each
	scripts/fuzz
learn: ## follow the course: where am I, what to do next
	@scripts/learn
watch: ## check my program at every save
	@scripts/learn watch
check-%: ## check one lesson: make check-02
	scripts/check $*
explore-%: ## try other schedules of a lesson's threads: make explore-03
	scripts/explore $*
book: ## make a web site of the course, in build/book
	scripts/book
figures: ## draw the timelines in the READMEs anew
	scripts/figures
.PHONY: record
record: ## record scripts/learn watch anew, for the README
	scripts/record
diff-%: ## show what a lesson changes: make diff-03
	@scripts/diff $*
lint: ## look for what the compilers do not mind
	scripts/lint
tidy: compile_commands.json ## look for what clang-tidy finds in the lessons and what they use
	git ls-files 'lessons/*.c' 'shared/*.c' | xargs -n 4 -P "$$(nproc)" \
		"$$(command -v clang-tidy-14 clang-tidy | head -n 1)" --quiet --warnings-as-errors='*'
format: ## format the C sources
	clang-format-14 -i $(SOURCES)
# What clangd and clang-tidy ask for: how each file is compiled.
compile_commands.json: ## tell editors how each file is compiled
	@$(MAKE) --silent --always-make --dry-run CC=clang all unit-tests | grep -e ' -c ' | \
		jq --raw-input '{directory: env.PWD, command: ., file: capture(" -c (?<f>\\S+)").f}' | \
		jq --slurp . >$@
clean: ## remove what was built
	rm -rf $(BUILD)
help: ## print this
	@sed -n 's/^\([a-z%-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | sort | expand -t 12

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
