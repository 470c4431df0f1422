#include "stream/packed_rows.h"

#include <bit>
#include <cstring>

namespace millrace {

namespace {

constexpr idx_t kBiggestBlock = 1 << 20;
constexpr int64_t kKept = 256 << 10;  // What a cleared store keeps for the next step.

/// Blocks grow with what is there, so that small tables stay small.
idx_t NextBlockBytes(int64_t bytes, idx_t least) {
  idx_t wanted = std::bit_floor(std::max<idx_t>(static_cast<idx_t>(bytes) / 2, 1));
  return std::max(std::clamp(wanted, StateArena::kLeastBlock, kBiggestBlock), least);
}

}  // namespace

StringStore::~StringStore() {
  for (Block& block : blocks_) arena_.Free(block.data, block.bytes);
  for (auto& [data, bytes] : large_) arena_.Free(reinterpret_cast<uint8_t*>(data), bytes);
}

void StringStore::Clear() {
  if (bytes_ == 0) return;
  for (auto& [data, bytes] : large_) arena_.Free(reinterpret_cast<uint8_t*>(data), bytes);
  large_.clear();
  for (Block& block : blocks_) arena_.Free(block.data, block.bytes);
  blocks_.clear();
  std::fill(std::begin(free_), std::end(free_), nullptr);
  left_ = 0;
  bytes_ = 0;
}

idx_t StringStore::ClassOf(idx_t size) {
  if (size <= kSmall) return (size + 15) / 16;
  return kSmall / 16 + static_cast<idx_t>(std::bit_width((size - 1) / kSmall));
}

idx_t StringStore::ClassBytes(idx_t size_class) {
  if (size_class <= kSmall / 16) return size_class * 16;
  return kSmall << (size_class - kSmall / 16);
}

char* StringStore::New(idx_t size) {
  if (size > kBiggest) {
    auto data = reinterpret_cast<char*>(arena_.Allocate(size));
    bytes_ += static_cast<int64_t>(arena_.BlockBytes(size));
    large_.emplace(data, size);
    return data;
  }
  idx_t size_class = ClassOf(size);
  if (char* data = free_[size_class]) {
    memcpy(&free_[size_class], data, sizeof(data));
    return data;
  }
  idx_t bytes = ClassBytes(size_class);
  if (bytes > left_) {
    idx_t block = NextBlockBytes(bytes_, std::bit_ceil(bytes));
    next_ = arena_.Allocate(block);
    blocks_.push_back({next_, block});
    bytes_ += static_cast<int64_t>(block);
    left_ = block;
  }
  uint8_t* made = next_;
  next_ += bytes;
  left_ -= bytes;
  return reinterpret_cast<char*>(made);
}

void StringStore::Free(char* data, idx_t size) {
  if (size > kBiggest) {
    arena_.Free(reinterpret_cast<uint8_t*>(data), size);
    bytes_ -= static_cast<int64_t>(arena_.BlockBytes(size));
    large_.erase(data);
    return;
  }
  idx_t size_class = ClassOf(size);
  memcpy(data, &free_[size_class], sizeof(data));
  free_[size_class] = data;
}

void StringStore::Intern(const RowLayout& layout, uint8_t* row) {
  for (idx_t column : layout.StringColumns()) {
    auto& text = *reinterpret_cast<string_t*>(const_cast<uint8_t*>(layout.ValueAt(row, column)));
    if (text.IsInlined()) continue;
    char* data = New(text.GetSize());
    memcpy(data, text.GetData(), text.GetSize());
    text = string_t(data, static_cast<uint32_t>(text.GetSize()));
  }
}

void StringStore::Release(const RowLayout& layout, uint8_t* row) {
  for (idx_t column : layout.StringColumns()) {
    auto& text = *reinterpret_cast<string_t*>(const_cast<uint8_t*>(layout.ValueAt(row, column)));
    if (!text.IsInlined()) Free(text.GetDataWriteable(), text.GetSize());
    memset(static_cast<void*>(&text), 0, sizeof(text));
  }
}

RowStore::RowStore(StateArena& arena, idx_t row_bytes)
    : arena_(arena), row_bytes_(std::max<idx_t>((row_bytes + 7) / 8 * 8, 16)), changed_(arena) {}

RowStore::~RowStore() {
  for (Block& block : blocks_) arena_.Free(block.data, block.bytes);
}

void RowStore::NextBlock() {
  if (!blocks_.empty() && current_ + 1 < blocks_.size()) {
    current_++;  // One that Clear has kept.
  } else {
    idx_t bytes = NextBlockBytes(bytes_, std::bit_ceil(row_bytes_));
    blocks_.push_back({arena_.Allocate(bytes), bytes, bytes / row_bytes_});
    bytes_ += static_cast<int64_t>(bytes);
    current_ = blocks_.size() - 1;
  }
  used_ = 0;
}

uint8_t* RowStore::New() {
  uint8_t* row = free_;
  if (row) {
    memcpy(&free_, row + 8, sizeof(row));
  } else {
    if (blocks_.empty() || used_ == blocks_[current_].rows) NextBlock();
    row = blocks_[current_].data + used_++ * row_bytes_;
  }
  memset(row, 0, row_bytes_);
  return row;
}

void RowStore::Free(uint8_t* row) {
  Touch(row);
  row[0] &= static_cast<uint8_t>(~1);  // Not live.
  if (!tracked_) Recycle(row);
}

void RowStore::Recycle(uint8_t* row) {
  memcpy(row + 8, &free_, sizeof(row));
  free_ = row;
}

uint8_t* RowStore::At(idx_t ordinal) const {
  for (const Block& block : blocks_) {
    if (ordinal < block.rows) return block.data + ordinal * row_bytes_;
    ordinal -= block.rows;
  }
  return nullptr;
}

std::vector<idx_t> RowStore::OrdinalsOf(const std::vector<const uint8_t*>& rows) const {
  std::map<const uint8_t*, idx_t> first;  // Of each block.
  idx_t before = 0;
  for (const Block& block : blocks_) {
    first[block.data] = before;
    before += block.rows;
  }
  std::vector<idx_t> ordinals;
  for (const uint8_t* row : rows) {
    auto [data, ordinal] = *std::prev(first.upper_bound(row));
    ordinals.push_back(ordinal + static_cast<idx_t>(row - data) / row_bytes_);
  }
  return ordinals;
}

void RowStore::Clear() {
  free_ = nullptr;
  current_ = 0;
  used_ = 0;
  if (bytes_ <= kKept) return;
  for (Block& block : blocks_) arena_.Free(block.data, block.bytes);
  blocks_.clear();
  bytes_ = 0;
}

void RowList::AddPart() {
  parts_.push_back(reinterpret_cast<uint8_t**>(arena_.Allocate(kPart * sizeof(uint8_t*))));
}

void RowList::Clear() {
  for (uint8_t** part : parts_) {
    arena_.Free(reinterpret_cast<uint8_t*>(part), kPart * sizeof(uint8_t*));
  }
  parts_.clear();
  size_ = 0;
}

RowTable::RowTable(StateArena& arena, RowLayout layout, idx_t payload_bytes, bool scoped)
    : arena_(arena),
      base_(arena.Base()),
      layout_(std::move(layout)),
      scoped_(scoped),
      rows_(arena, layout_.Width() + payload_bytes),
      strings_(arena) {
  Reset();
}

RowTable::~RowTable() {
  for (Segment& segment : segments_) FreeEntries(segment.entries, mask_ + 1);
}

uint64_t* RowTable::NewEntries(idx_t slots) {
  idx_t bytes = slots * sizeof(uint64_t);
  uint8_t* made = arena_.Allocate(bytes, StateArena::Kind::kIndex);
  memset(made, 0, bytes);
  index_bytes_ += static_cast<int64_t>(bytes);
  return reinterpret_cast<uint64_t*>(made);
}

void RowTable::FreeEntries(uint64_t* entries, idx_t slots) {
  arena_.Free(reinterpret_cast<uint8_t*>(entries), slots * sizeof(uint64_t));
  index_bytes_ -= static_cast<int64_t>(slots * sizeof(uint64_t));
}

void RowTable::Reset() {
  for (Segment& segment : segments_) FreeEntries(segment.entries, mask_ + 1);
  segments_.clear();
  segments_.push_back({NewEntries(kLeastSlots), 0, 0});
  mask_ = kLeastSlots - 1;
  depth_ = 0;
  directory_.assign(1, 0);
}

uint64_t RowTable::Scoped(uint64_t hash, const void* scope) const {
  if (!scoped_) return hash;
  uint64_t mixed = (hash ^ reinterpret_cast<uintptr_t>(scope)) * 0x9E3779B97F4A7C15ULL;
  return mixed ^ (mixed >> 32) ^ (hash << 31);
}

uint8_t* RowTable::Find(const uint8_t* row, uint64_t hash, const void* scope) const {
  hash = Scoped(hash, scope);
  uint64_t tag = hash >> kRefBits;
  const uint64_t* entries = segments_[SegmentOf(hash)].entries;
  for (idx_t at = tag & mask_; entries[at]; at = (at + 1) & mask_) {
    if (entries[at] >> kRefBits != tag) continue;
    uint8_t* found = RowAt(entries[at]);
    if (Same(found, row, scope)) return found;
  }
  return nullptr;
}

uint8_t* RowTable::FindOrCreate(const uint8_t* row, uint64_t hash, bool& created,
                                const void* scope) {
  hash = Scoped(hash, scope);
  uint64_t tag = hash >> kRefBits;
  created = false;
  idx_t index = SegmentOf(hash);
  uint64_t* entries = segments_[index].entries;
  for (idx_t at = tag & mask_; entries[at]; at = (at + 1) & mask_) {
    if (entries[at] >> kRefBits != tag) continue;
    uint8_t* found = RowAt(entries[at]);
    if (Same(found, row, scope)) return found;
  }
  created = true;
  uint8_t* copy = NewRow(row);
  if (scoped_) Payload<const void*>(copy) = scope;
  while (IsFull(segments_[index])) {
    MakeRoom(index);
    index = SegmentOf(hash);
  }
  Put(segments_[index], (tag << kRefBits) | static_cast<uint64_t>((copy - base_) / 8));
  size_++;
  rows_.Touch(copy);
  return copy;
}

void RowTable::Put(Segment& segment, uint64_t entry) {
  idx_t at = (entry >> kRefBits) & mask_;
  while (segment.entries[at]) at = (at + 1) & mask_;
  segment.entries[at] = entry;
  segment.used++;
}

void RowTable::ThrowTooMany() const {
  Throw(ErrorCode::kUnsupported, "Keeping state: {} rows are more than one operator can hold",
        size_);
}

void RowTable::MakeRoom(idx_t index) {
  idx_t slots = mask_ + 1;
  Segment full = segments_[index];
  auto move_all = [&](auto&& to) {
    for (idx_t i = 0; i < slots; i++) {
      if (full.entries[i]) Put(segments_[to(full.entries[i])], full.entries[i]);
    }
    FreeEntries(full.entries, slots);
  };
  if (slots < kMostSlots) {  // The only segment yet: it grows.
    segments_[index] = {NewEntries(slots * 4), 0, 0};
    mask_ = slots * 4 - 1;
    return move_all([&](uint64_t) { return index; });
  }
  if (full.depth == kMostDepth) ThrowTooMany();
  if (full.depth == depth_) {
    std::vector<uint32_t> wider(directory_.size() * 2);
    for (idx_t i = 0; i < wider.size(); i++) wider[i] = directory_[i / 2];
    directory_.swap(wider);
    depth_++;
  }
  auto twin = static_cast<uint32_t>(segments_.size());
  int depth = full.depth + 1;
  uint64_t* entries = NewEntries(slots);
  segments_.push_back({NewEntries(slots), 0, depth});
  segments_[index] = {entries, 0, depth};
  for (idx_t i = 0; i < directory_.size(); i++) {
    bool second = (i >> (depth_ - depth)) & 1;
    if (directory_[i] == index && second) directory_[i] = twin;
  }
  move_all([&](uint64_t entry) -> idx_t { return (entry >> (64 - depth)) & 1 ? twin : index; });
}

void RowTable::Reserve(idx_t rows) {
  MILLRACE_CHECK(size_ == 0);
  // A segment's share differs a little from the others': room for 12 of 16 is enough for 13.
  idx_t slots = kLeastSlots;
  while (slots < kMostSlots && rows * 16 > slots * 12) slots *= 4;
  int depth = 0;
  while (rows * 16 > (slots << depth) * 12) depth++;
  if (depth > kMostDepth) ThrowTooMany();
  for (Segment& segment : segments_) FreeEntries(segment.entries, mask_ + 1);
  segments_.clear();
  mask_ = slots - 1;
  depth_ = depth;
  directory_.resize(idx_t(1) << depth);
  for (idx_t i = 0; i < directory_.size(); i++) {
    directory_[i] = static_cast<uint32_t>(i);
    segments_.push_back({NewEntries(slots), 0, depth});
  }
}

void RowTable::Erase(uint8_t* row) {
  const void* scope = scoped_ ? Payload<const void*>(row) : nullptr;
  uint64_t hash = Scoped(layout_.Hash(row), scope);
  Segment& segment = segments_[SegmentOf(hash)];
  uint64_t* entries = segment.entries;
  idx_t at = (hash >> kRefBits) & mask_;
  while (RowAt(entries[at]) != row) {
    MILLRACE_CHECK(entries[at] != 0);
    at = (at + 1) & mask_;
  }
  // Close the gap: move back whatever would not be found across it.
  for (idx_t next = (at + 1) & mask_; entries[next]; next = (next + 1) & mask_) {
    idx_t home = (entries[next] >> kRefBits) & mask_;
    if (((next - home) & mask_) >= ((next - at) & mask_)) {
      entries[at] = entries[next];
      at = next;
    }
  }
  entries[at] = 0;
  segment.used--;
  size_--;
  // The row's texts go with its bytes.
  if (layout_.HasStrings() && !rows_.IsTracked()) strings_.Release(layout_, row);
  rows_.Free(row);
  if (size_ == 0 && !rows_.HasChanged()) Clear();
}

void RowTable::Settle() {
  rows_.Settle([this](uint8_t* row) {
    if (layout_.HasStrings()) strings_.Release(layout_, row);
  });
  if (size_ == 0) Clear();
}

void RowTable::Clear() {
  rows_.Clear();
  strings_.Clear();
  if (segments_.size() > 1 || mask_ + 1 > 8 * kLeastSlots) {
    Reset();  // Do not pay for one big step in every later one.
  } else if (segments_[0].used > 0) {
    memset(segments_[0].entries, 0, (mask_ + 1) * sizeof(uint64_t));
    segments_[0].used = 0;
  }
  size_ = 0;
}

RowTable::Filler::Filler(RowTable& table) : table_(table) {
  MILLRACE_CHECK(table.size_ == 0 && !table.scoped_ && !table.rows_.IsTracked());
}

RowTable::Filler::~Filler() {
  for (Part& part : parts_) Free(part);
}

void RowTable::Filler::AddBlock(Part& part) {
  uint8_t* made = table_.arena_.Allocate(kBlock * sizeof(uint64_t));
  part.blocks.push_back(reinterpret_cast<uint64_t*>(made));
  part.used = 0;
}

void RowTable::Filler::Free(Part& part) {
  for (uint64_t* block : part.blocks) {
    table_.arena_.Free(reinterpret_cast<uint8_t*>(block), kBlock * sizeof(uint64_t));
  }
  part.blocks.clear();
  part.used = kBlock;
}

void RowTable::Filler::Finish() {
  idx_t rows = 0;
  for (Part& part : parts_) {
    if (!part.blocks.empty()) rows += (part.blocks.size() - 1) * kBlock + part.used;
  }
  table_.Reserve(rows);
  for (Part& part : parts_) {
    for (uint64_t* block : part.blocks) {
      Place(block, block == part.blocks.back() ? part.used : kBlock);
    }
    Free(part);
    table_.arena_.Balance();
  }
}

void RowTable::Filler::Place(const uint64_t* entries, idx_t count) {
  constexpr idx_t kAhead = 16;
  for (idx_t i = 0; i < count; i++) {
    if (i + kAhead < count) __builtin_prefetch(table_.Home(entries[i + kAhead]), 1);
    idx_t index = table_.SegmentOf(entries[i]);
    while (table_.IsFull(table_.segments_[index])) {
      table_.MakeRoom(index);
      index = table_.SegmentOf(entries[i]);
    }
    table_.Put(table_.segments_[index], entries[i]);
    table_.size_++;
  }
}

}  // namespace millrace
