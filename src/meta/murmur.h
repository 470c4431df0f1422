// murmur.h - the steps of the 32-bit Murmur3 hash with seed 42, as Paimon's buckets use it.
#pragma once

#include <bit>
#include <cstdint>

namespace millrace {

inline constexpr uint32_t kMurmurSeed = 42;

inline uint32_t MurmurMix(uint32_t hash, uint32_t word) {
  word = std::rotl(word * 0xcc9e2d51U, 15) * 0x1b873593U;
  return std::rotl(hash ^ word, 13) * 5 + 0xe6546b64U;
}

inline uint32_t MurmurMixLong(uint32_t hash, uint64_t two_words) {
  hash = MurmurMix(hash, static_cast<uint32_t>(two_words));
  return MurmurMix(hash, static_cast<uint32_t>(two_words >> 32));
}

inline int32_t MurmurFinish(uint32_t hash, uint32_t length) {
  hash ^= length;
  hash ^= hash >> 16;
  hash *= 0x85ebca6bU;
  hash ^= hash >> 13;
  hash *= 0xc2b2ae35U;
  return static_cast<int32_t>(hash ^ (hash >> 16));
}

}  // namespace millrace
