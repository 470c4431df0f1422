#include "stream/state_arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace millrace {

namespace {

constexpr uint32_t kIndexEvery = 8;  // One of so many extents that leave is of a hash table.
constexpr idx_t kReadAtOnce = 64 << 10;
constexpr size_t kLarge = 4;  // Extents of a section, from which on whole ones are not too much.
constexpr size_t kAhead = 8;  // Extents that are announced when they come from the disk.
constexpr idx_t kRowsAnExtent = 16;  // So many rows will touch nearly all extents.

/// Where 2^size_class pages are free, at a multiple of their number; -1: nowhere.
int64_t FindRun(const std::vector<uint64_t>& free, uint8_t size_class) {
  if (size_class >= 6) {
    size_t words = size_t(1) << (size_class - 6);
    for (size_t at = 0; at + words <= free.size(); at += words) {
      auto begin = free.begin() + static_cast<std::ptrdiff_t>(at);
      if (std::all_of(begin, begin + static_cast<std::ptrdiff_t>(words),
                      [](uint64_t word) { return word == UINT64_MAX; })) {
        return static_cast<int64_t>(at * 64);
      }
    }
    return -1;
  }
  constexpr uint64_t kMultiples[] = {UINT64_MAX,
                                     0x5555555555555555ULL,
                                     0x1111111111111111ULL,
                                     0x0101010101010101ULL,
                                     0x0001000100010001ULL,
                                     0x0000000100000001ULL};
  for (size_t at = 0; at < free.size(); at++) {
    uint64_t runs = free[at];
    for (int shift = 1; shift < 1 << size_class; shift *= 2) runs &= runs >> shift;
    runs &= kMultiples[size_class];
    if (runs != 0) return static_cast<int64_t>(at * 64) + std::countr_zero(runs);
  }
  return -1;
}

void SetBits(std::vector<uint64_t>& words, uint32_t first, uint32_t count, bool value) {
  for (uint32_t i = first; i < first + count; i++) {
    uint64_t bit = uint64_t(1) << (i % 64);
    words[i / 64] = value ? words[i / 64] | bit : words[i / 64] & ~bit;
  }
}

}  // namespace

StateArena::~StateArena() {
  for (auto& [first, extent] : by_first_) {
    if (!extent->mapped) memory_.plain_ -= static_cast<int64_t>(extent->counted * kLeastBlock);
    memory_.GiveBack(first, extent->count, extent->mapped);
  }
}

idx_t StateArena::BlockBytes(idx_t bytes) const {
  auto extent = static_cast<idx_t>(memory_.options_.extent_bytes);
  if (bytes <= extent / 2) return std::bit_ceil(std::max(bytes, kLeastBlock));
  return (bytes + extent - 1) / extent * extent;
}

uint32_t StateArena::PagesOf(const Extent& extent) const {
  return static_cast<uint32_t>(extent.count * memory_.options_.extent_bytes /
                               static_cast<int64_t>(kLeastBlock));
}

void StateArena::Change(uint8_t section) {
  if (section >= sections_.size()) sections_.resize(section + 1);
  section_ = section;
  // From now on any of it may come back.
  for (size_t& left : sections_[section].left) left = 0;
}

StateArena::Extent& StateArena::NewExtent(uint32_t count, Kind kind, bool whole) {
  bool mapped = false;
  int64_t bytes = count * memory_.options_.extent_bytes;
  if (memory_.Excess() + bytes > 0) {
    Shrink();
    mapped = memory_.on_disk_ > 0;  // Where it would soon be anyway.
  }
  Section& section = sections_[section_];
  auto& extents = section.extents[static_cast<int>(kind)];
  auto made = std::make_unique<Extent>();
  made->first = memory_.Take(count, mapped);
  made->count = count;
  made->kind = kind;
  made->section = section_;
  made->mapped = made->fresh = mapped;
  made->whole = whole;
  if (mapped) mapped_++;
#ifdef MADV_HUGEPAGE
  if (!mapped && section.Size() >= kLarge) {
    // Large pages: fewer faults when tables are filled, fewer misses later.
    ::madvise(memory_.AddressOf(made->first), static_cast<size_t>(bytes), MADV_HUGEPAGE);
  }
#endif
  Extent& extent = *made;
  if (!whole) {
    uint32_t pages = PagesOf(extent);
    extent.free.resize((pages + 63) / 64);
    extent.used.resize(extent.free.size());
    SetBits(extent.free, 0, pages, true);
    List(extent);
  }
  extents.push_back(&extent);
  by_first_[extent.first] = std::move(made);
  return extent;
}

void StateArena::List(Extent& extent) {
  auto size_class = static_cast<uint8_t>(std::countr_zero(PagesOf(extent)));
  while (size_class != kNone && FindRun(extent.free, size_class) < 0) {
    size_class = size_class == 0 ? kNone : size_class - 1;
  }
  if (size_class == extent.largest) return;
  Unlist(extent);
  extent.largest = size_class;
  if (size_class == kNone) return;
  auto& open = sections_[extent.section].open[static_cast<int>(extent.kind)][size_class];
  extent.place = static_cast<uint32_t>(open.size());
  open.push_back(&extent);
}

void StateArena::Unlist(Extent& extent) {
  if (extent.largest == kNone) return;
  auto& open = sections_[extent.section].open[static_cast<int>(extent.kind)][extent.largest];
  open[extent.place] = open.back();
  open[extent.place]->place = extent.place;
  open.pop_back();
  extent.largest = kNone;
}

uint8_t* StateArena::TakeBlock(Extent& extent, uint8_t size_class) {
  auto at = static_cast<uint32_t>(FindRun(extent.free, size_class));
  uint32_t pages = uint32_t(1) << size_class;
  for (uint32_t i = at; i < at + pages; i++) {
    extent.counted += (extent.used[i / 64] >> (i % 64)) & 1 ? 0 : 1;
  }
  SetBits(extent.free, at, pages, false);
  SetBits(extent.used, at, pages, true);
  extent.live += pages;
  List(extent);
  return memory_.AddressOf(extent.first) + at * kLeastBlock;
}

uint8_t* StateArena::Allocate(idx_t bytes, Kind kind) {
  idx_t block = BlockBytes(bytes);
  bytes_ += static_cast<int64_t>(block);
  auto extent_bytes = static_cast<idx_t>(memory_.options_.extent_bytes);
  if (block >= extent_bytes) {
    Extent& extent = NewExtent(static_cast<uint32_t>(block / extent_bytes), kind, true);
    extent.live = extent.counted = PagesOf(extent);
    if (!extent.mapped) memory_.AddPlain(static_cast<int64_t>(block));
    return memory_.AddressOf(extent.first);
  }
  auto size_class = static_cast<uint8_t>(std::countr_zero(block / kLeastBlock));
  auto& open = sections_[section_].open[static_cast<int>(kind)];
  // Where it fits best.
  int found = size_class;
  while (found < kClasses && open[found].empty()) found++;
  Extent& extent = found < kClasses ? *open[found].back() : NewExtent(1, kind, false);
  uint32_t counted = extent.counted;
  uint8_t* made = TakeBlock(extent, size_class);
  if (!extent.mapped) {
    memory_.AddPlain(static_cast<int64_t>((extent.counted - counted) * kLeastBlock));
  }
  return made;
}

void StateArena::Free(uint8_t* block, idx_t bytes) {
  idx_t block_bytes = BlockBytes(bytes);
  bytes_ -= static_cast<int64_t>(block_bytes);
  auto offset = static_cast<idx_t>(block - memory_.base_);
  auto extent_bytes = static_cast<idx_t>(memory_.options_.extent_bytes);
  Extent& extent = *by_first_.at(static_cast<uint32_t>(offset / extent_bytes));
  if (extent.whole) return Release(extent);
  auto pages = static_cast<uint32_t>(block_bytes / kLeastBlock);
  SetBits(extent.free, static_cast<uint32_t>(offset % extent_bytes / kLeastBlock), pages, true);
  extent.live -= pages;
  List(extent);
  if (extent.live > 0) return;
  // The last one stays: a table that fills and empties in each step would map it again and again.
  auto& open = sections_[extent.section].open[static_cast<int>(extent.kind)];
  if (open[extent.largest].size() > 1) Release(extent);
}

void StateArena::Release(Extent& extent) {
  Unlist(extent);
  if (!extent.mapped) memory_.plain_ -= static_cast<int64_t>(extent.counted * kLeastBlock);
  if (extent.mapped) mapped_--;
  memory_.GiveBack(extent.first, extent.count, extent.mapped);
  Section& section = sections_[extent.section];
  auto kind = static_cast<int>(extent.kind);
  auto& extents = section.extents[kind];
  auto at = std::find(extents.begin(), extents.end(), &extent);
  if (static_cast<size_t>(at - extents.begin()) < section.hand[kind]) section.hand[kind]--;
  section.left[kind] = 0;  // Which ones they are is not known any more.
  extents.erase(at);
  by_first_.erase(extent.first);
}

void StateArena::WillRead(const uint8_t* block, idx_t bytes) const {
#ifdef MADV_POPULATE_READ
  if (memory_.on_disk_ == 0 || bytes < kReadAtOnce) return;
  ::madvise(const_cast<uint8_t*>(block), bytes, MADV_POPULATE_READ);  // Or page by page.
#endif
}

void StateArena::Bring(const Section& section) {
  bool from_memory = true;
  for (auto& extents : section.extents) {
    for (size_t i = 0; i < extents.size(); i++) {
      if (!extents[i]->mapped) continue;
      if (!from_memory) {
        size_t ahead = std::min(i + kAhead, extents.size());
        for (size_t k = i; k < ahead; k++) {
          if (extents[k]->mapped) memory_.Announce(extents[k]->first, extents[k]->count);
        }
      }
      from_memory = memory_.Bring(extents[i]->first, extents[i]->count);
    }
  }
}

void StateArena::Evict(Extent& extent) {
  if (extent.mapped) {
    memory_.Drop(extent.first, extent.count, extent.fresh);
    extent.fresh = false;
    return;
  }
  memory_.Spill(extent.first, extent.count, static_cast<int64_t>(extent.counted * kLeastBlock));
  extent.mapped = true;
  mapped_++;
}

void StateArena::EvictNext(Section& section) {
  auto all_left = [&](int kind) { return section.left[kind] == section.extents[kind].size(); };
  int kind = section.turn++ % kIndexEvery == kIndexEvery - 1 ? 1 : 0;
  if (all_left(kind)) kind = 1 - kind;
  size_t& hand = section.hand[kind];
  if (hand >= section.extents[kind].size()) hand = 0;
  Evict(*section.extents[kind][hand++]);
  section.left[kind]++;
}

void StateArena::Shrink() {
  int64_t excess = memory_.Excess();
  if (excess <= 0) return;
  int64_t more = memory_.Limit() / 16;  // So that it lasts for a while.
  excess = turns_ ? turns_->MakeRoom(more) : excess + more;
  if (excess <= more) return;
  // What is worked at last; all that has left of that may be back.
  Change(section_);
  for (size_t i = 1; excess > 0 && i <= sections_.size(); i++) {
    Section& section = sections_[(section_ + i) % sections_.size()];
    while (excess > 0 && section.HasLeft() < section.Size()) {
      EvictNext(section);
      excess = memory_.Excess() + more;
    }
  }
  // All of it has left, so that what is still counted belongs to other files (code, for one).
  if (excess > 0) memory_.Calibrate(16);
  Change(section_);  // The work on it goes on.
}

StateTurns::StateTurns(std::vector<StateArena*> arenas)
    : arenas_(std::move(arenas)), memory_(arenas_.at(0)->memory_) {
  for (StateArena* arena : arenas_) arena->turns_ = this;
  memory_.turns_++;
}

StateTurns::~StateTurns() {
  SetAside(0);
  memory_.turns_--;
  for (StateArena* arena : arenas_) arena->turns_ = nullptr;
}

std::unique_ptr<ScratchFile> StateTurns::MakeFile() const {
  const StateMemoryOptions& options = memory_.options_;
  return options.folder.empty() ? nullptr : ScratchFile::Create(options.folder, options.fault);
}

void StateTurns::SetAside(int64_t bytes) {
  memory_.AddPlain(bytes - set_aside_);
  set_aside_ = bytes;
}

int64_t StateTurns::MappedExtents() const {
  int64_t mapped = 0;
  for (const StateArena* arena : arenas_) mapped += arena->mapped_;
  return mapped;
}

void StateTurns::Begin(StateArena& arena, uint8_t at, idx_t rows) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !arena.taken_; });
    arena.taken_ = true;
    working_++;
  }
  size_t left = at < arena.sections_.size() ? arena.sections_[at].HasLeft() : 0;
  arena.Enter(at);
  if (left == 0 || !memory_.tight_) return;
  const StateArena::Section& section = arena.sections_[at];
  int64_t extent = memory_.options_.extent_bytes, most = memory_.Limit() / 4 * 3;
  bool all = rows >= kRowsAnExtent * section.Size() &&
             static_cast<int64_t>(section.Size()) * extent <= most;
  int64_t coming = static_cast<int64_t>(all ? left : std::min<size_t>(left, 2 * rows)) * extent;
  try {
    MakeRoom(std::min(coming, most) + memory_.Limit() / 16);
  } catch (...) {
    End(arena);
    throw;
  }
  if (all) arena.Bring(section);
}

void StateTurns::End(StateArena& arena) {
  std::lock_guard lock(mutex_);
  arena.taken_ = false;
  arena.sections_[arena.section_].ended = ++clock_;
  working_--;
  changed_.notify_all();
}

std::pair<StateArena*, StateArena::Section*> StateTurns::Claim() {
  std::lock_guard lock(mutex_);
  std::pair<StateArena*, StateArena::Section*> found{nullptr, nullptr};
  size_t sections = 0;
  for (StateArena* arena : arenas_) sections += arena->taken_ ? 0 : arena->sections_.size();
  size_t at = 0, first = sections == 0 ? 0 : next_ % sections;
  for (int pass = 0; pass < 2 && !found.first; pass++) {
    at = 0;
    for (StateArena* arena : arenas_) {
      if (arena->taken_) continue;
      for (StateArena::Section& section : arena->sections_) {
        size_t here = at++;
        if (section.HasLeft() == section.Size()) continue;
        if (working_ > 0) {
          if (!found.second || section.ended > found.second->ended) found = {arena, &section};
        } else if (!found.second && (here >= first || pass > 0)) {
          found = {arena, &section};
          next_ = here + 1;
        }
      }
    }
  }
  if (found.first) found.first->taken_ = true;
  return found;
}

int64_t StateTurns::MakeRoom(int64_t bytes) {
  int64_t excess = memory_.Excess() + bytes;
  while (excess > 0) {
    auto [arena, section] = Claim();
    if (!arena) break;
    // While all is worked at in turns, the whole section; else a part of each.
    size_t in = section->Size() - section->HasLeft();
    size_t most = working_ > 0 ? in : (in + 3) / 4;
    auto give_back = [this, claimed = arena] {
      std::lock_guard lock(mutex_);
      claimed->taken_ = false;
      changed_.notify_all();
    };
    try {
      for (size_t i = 0; i < most && excess > 0; i++) {
        arena->EvictNext(*section);
        excess = memory_.Excess() + bytes;
      }
    } catch (...) {
      give_back();
      throw;
    }
    give_back();
  }
  return excess;
}

}  // namespace millrace
