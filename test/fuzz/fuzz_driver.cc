// fuzz_driver.cc - runs a target without libFuzzer: valid inputs, damaged at random.
//
//   <target> [--runs=N] [--seed=N] [--write-seeds=FOLDER] [FILE ...]
//
// Prints the seed that it began with. What makes the target fail is left in `<target>.crash` in the
// current folder; with FILEs just these are run. MILLRACE_FUZZ_RUNS is the default of --runs.
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <random>
#include <sstream>

#include "fuzz_target.h"

namespace {

constexpr size_t kInputBytesMax = 1 << 16;
constexpr size_t kAllocationBytesMax = 64 << 20;  // No input is a reason for more at once.
constexpr int64_t kMemoryKilobytesMax = 256 << 10;
constexpr unsigned kInputSecondsMax = 60;
// Sanitizers have an allocator of their own, which sees more and takes more.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MILLRACE_SANITIZED
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// For the signal handler.
std::string crash_path;
std::string input;

void KeepInput(const char* why) {
  FILE* file = std::fopen(crash_path.c_str(), "wb");
  if (file) {
    std::fwrite(input.data(), 1, input.size(), file);
    std::fclose(file);
  }
  std::fprintf(stderr, "%s; the input is in %s\n", why, crash_path.c_str());
}

extern "C" void OnSignal(int number) {
  KeepInput(number == SIGALRM ? "no answer for too long" : strsignal(number));
  std::_Exit(128 + number);
}

/// On a stack of its own: the usual one may be what was used up.
void CatchSignals() {
  static char stack[1 << 16];
  stack_t place{};
  place.ss_sp = stack;
  place.ss_size = sizeof(stack);
  sigaltstack(&place, nullptr);
  struct sigaction action{};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_ONSTACK;
  for (int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL, SIGALRM}) {
    sigaction(signal, &action, nullptr);
  }
}

}  // namespace

#ifndef MILLRACE_SANITIZED
void* operator new(size_t size) {
  if (size > kAllocationBytesMax) {
    std::fprintf(stderr, "%zu bytes of memory at once: ", size);
    std::abort();
  }
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
#endif

namespace millrace {

namespace {

/// Damages inputs.
/// Threads: one at a time.
class Mutator {
 public:
  Mutator(uint64_t seed, const std::vector<std::string>& seeds) : random_(seed), seeds_(seeds) {}

  std::string Next() {
    std::string bytes = seeds_[Below(seeds_.size())];
    for (size_t i = 1 + Below(4); i > 0; i--) Damage(bytes);
    if (bytes.size() > kInputBytesMax) bytes.resize(kInputBytesMax);
    return bytes;
  }

 private:
  size_t Below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  void Damage(std::string& bytes) {
    size_t at = Below(bytes.size());
    size_t length = std::min(Below(bytes.size() - at + 1), 1 + Below(64));
    switch (Below(10)) {
      case 0:
        if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << Below(8)));
        return;
      case 1:
        if (!bytes.empty()) bytes[at] = static_cast<char>(random_());
        return;
      case 2:
        bytes.resize(at);
        return;
      case 3:
        bytes.erase(at, length);
        return;
      case 4:
        bytes.insert(at, bytes.substr(Below(bytes.size()), length));
        return;
      case 5: {  // Deep nesting, long lists.
        std::string piece = bytes.substr(at, 1 + Below(12)), pieces;
        for (size_t i = Below(Below(8) == 0 ? 20'000 : 50); i > 0; i--) pieces += piece;
        bytes.insert(at, pieces);
        return;
      }
      case 6:
        return PutNumber(bytes, at);
      case 7: {  // Of another valid input.
        const std::string& other = seeds_[Below(seeds_.size())];
        size_t from = Below(other.size());
        bytes.replace(at, length, other.substr(from, 1 + Below(64)));
        return;
      }
      case 8:
        return PutText(bytes, at);
      default:
        for (size_t i = 0; i < length; i++) bytes[at + i] = static_cast<char>(random_());
    }
  }

  /// Lengths and counts at their limits, in either byte order.
  void PutNumber(std::string& bytes, size_t at) {
    constexpr int64_t kNumbers[] = {0,         1,         -1,        2,        127,
                                    128,       255,       256,       INT8_MIN, INT32_MAX,
                                    INT32_MIN, INT64_MAX, INT64_MIN, 1 << 20};
    auto number = static_cast<uint64_t>(kNumbers[Below(std::size(kNumbers))]);
    number += Below(3) == 0 ? Below(16) : 0;
    size_t width = size_t{1} << Below(4);
    bool big = Below(2) == 0;
    for (size_t i = 0; i < width && at + i < bytes.size(); i++) {
      bytes[at + i] = static_cast<char>(number >> (8 * (big ? width - 1 - i : i)));
    }
  }

  void PutText(std::string& bytes, size_t at) {
    constexpr const char* kTexts[] = {"9223372036854775808",
                                      "-9223372036854775808",
                                      "1e999",
                                      "-0.0",
                                      "null",
                                      "[]",
                                      "{}",
                                      "[",
                                      "{\"a\":",
                                      "\"",
                                      "\\ud800",
                                      "\xff",
                                      "true",
                                      "2147483648"};
    const char* text = kTexts[Below(std::size(kTexts))];
    size_t replaced = 0;  // A number or word as a whole.
    while (at + replaced < bytes.size() && std::isalnum(static_cast<uint8_t>(bytes[at + replaced])))
      replaced++;
    bytes.replace(at, replaced, text);
  }

  std::mt19937_64 random_;
  const std::vector<std::string>& seeds_;
};

int64_t PeakKilobytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

bool RunOne() {
  alarm(kInputSecondsMax);
  try {
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  } catch (const std::exception& error) {
    KeepInput(error.what());
    return false;
  }
  alarm(0);
  return true;
}

int Fuzz(uint64_t seed, int64_t runs) {
  std::vector<std::string> seeds = FuzzSeeds();
  for (const std::string& whole : seeds) {
    input = whole;
    if (!RunOne()) return 1;
  }
  int64_t before = PeakKilobytes();
  Mutator mutator(seed, seeds);
  for (int64_t i = 0; i < runs; i++) {
    input = mutator.Next();
    if (!RunOne()) return 1;
  }
  if (!kSanitized && PeakKilobytes() - before > kMemoryKilobytesMax) {
    std::fprintf(stderr, "took up to %lld KB of memory\n",
                 static_cast<long long>(PeakKilobytes() - before));
    return 1;
  }
  return 0;
}

int RunFiles(const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    std::ifstream stream(file, std::ios::binary);
    std::ostringstream bytes;
    bytes << stream.rdbuf();
    input = bytes.str();
    std::printf("%s: %zu bytes\n", file.c_str(), input.size());
    if (!RunOne()) return 1;
  }
  return 0;
}

int WriteSeeds(const std::string& folder) {
  int number = 0;
  for (const std::string& seed : FuzzSeeds()) {
    std::ofstream(folder + "/seed-" + std::to_string(number++), std::ios::binary) << seed;
  }
  return 0;
}

int Run(int argc, char** argv) {
  const char* wanted = std::getenv("MILLRACE_FUZZ_RUNS");
  int64_t runs = wanted ? std::strtoll(wanted, nullptr, 10) : 5000;
  uint64_t seed = std::random_device{}();
  std::vector<std::string> files;
  for (int i = 1; i < argc; i++) {
    std::string_view argument = argv[i];
    if (argument.starts_with("--runs=")) {
      runs = std::strtoll(argv[i] + 7, nullptr, 10);
    } else if (argument.starts_with("--seed=")) {
      seed = std::strtoull(argv[i] + 7, nullptr, 10);
    } else if (argument.starts_with("--write-seeds=")) {
      return WriteSeeds(argv[i] + 14);
    } else {
      files.emplace_back(argument);
    }
  }
  if (!files.empty()) return RunFiles(files);
  std::printf("seed %llu, %lld runs\n", static_cast<unsigned long long>(seed),
              static_cast<long long>(runs));
  std::fflush(stdout);
  return Fuzz(seed, runs);
}

}  // namespace

}  // namespace millrace

int main(int argc, char** argv) {
  std::string name = argv[0];
  crash_path = name.substr(name.rfind('/') + 1) + ".crash";
  CatchSignals();
  int result = millrace::Run(argc, argv);
  std::fflush(nullptr);
  _exit(result);  // DuckDB's thread locals are gone before its statics.
}
