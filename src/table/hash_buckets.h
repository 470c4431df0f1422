// hash_buckets.h - key hash -> bucket for one partition of a table with dynamic buckets.
//
// Open addressing with linear probing; the keys are Murmur hashes already, so their low bits are
// the slot. Six bytes a slot, at most three quarters of them taken: 8 to 16 bytes a key.
#pragma once

#include <cstdint>
#include <vector>

namespace millrace {

/// Threads: one at a time.
class HashBuckets {
 public:
  static constexpr int kNone = -1;

  HashBuckets() : slots_(16) {}

  size_t size() const { return size_; }
  int64_t MemoryBytes() const { return static_cast<int64_t>(slots_.size() * sizeof(Slot)); }
  /// Brings the slot of `hash` near: call for a batch before Find.
  void Prefetch(int32_t hash) const { __builtin_prefetch(&slots_[Home(hash)]); }
  /// The bucket of `hash`, or kNone.
  int Find(int32_t hash) const {
    for (size_t at = Home(hash);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].bucket == kFree) return kNone;
      if (slots_[at].hash == hash) return slots_[at].bucket;
    }
  }
  /// REQUIRES: Find(hash) == kNone, 0 <= bucket < 32768.
  void Add(int32_t hash, int bucket) {
    if ((size_ + 1) * 4 > slots_.size() * 3) Grow();
    Insert({hash, static_cast<uint16_t>(bucket)});
    size_++;
  }
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (const Slot& slot : slots_) {
      if (slot.bucket != kFree) visit(slot.hash, static_cast<int>(slot.bucket));
    }
  }

 private:
  static constexpr uint16_t kFree = 0xFFFF;
#pragma pack(push, 2)
  struct Slot {
    int32_t hash = 0;
    uint16_t bucket = kFree;
  };
#pragma pack(pop)
  static_assert(sizeof(Slot) == 6);

  size_t Home(int32_t hash) const {
    return static_cast<uint32_t>(hash) & (slots_.size() - 1);
  }
  void Insert(Slot slot) {
    size_t at = Home(slot.hash);
    while (slots_[at].bucket != kFree) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }
  void Grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.bucket != kFree) Insert(slot);
    }
  }

  std::vector<Slot> slots_;  // A power of two.
  size_t size_ = 0;
};

}  // namespace millrace
