// random.cc - one seeded engine behind a lock.
#include "io/random.h"

#include <fmt/format.h>

namespace millrace {

namespace {

uint64_t SystemSeed() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) ^ device();
}

}  // namespace

Random::Random(uint64_t seed) : engine_(seed == 0 ? SystemSeed() : seed) {}

uint64_t Random::Next() {
  std::lock_guard<std::mutex> lock(mutex_);
  return engine_();
}

std::string Random::Uuid() {
  uint64_t high = (Next() & ~0xf000ULL) | 0x4000ULL;                        // Version 4.
  uint64_t low = (Next() & 0x3fffffffffffffffULL) | 0x8000000000000000ULL;  // RFC 4122 variant.
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                     high & 0xffff, low >> 48, low & 0xffffffffffffULL);
}

}  // namespace millrace
