#include "format/row_set.h"

#include <roaring/roaring.hh>

#include "base/error.h"
#include "format/roaring_check.h"

namespace millrace {

struct RowSet::Bitmap {
  Roaring rows;
};

RowSet::RowSet() : bitmap_(std::make_unique<Bitmap>()) {}
RowSet::~RowSet() = default;
RowSet::RowSet(RowSet&&) noexcept = default;
RowSet& RowSet::operator=(RowSet&&) noexcept = default;

RowSet RowSet::Copy() const {
  RowSet copy;
  copy.bitmap_->rows = bitmap_->rows;
  return copy;
}

void RowSet::Add(int64_t position) {
  if (position < 0 || position > kMaxPosition) {
    Throw(ErrorCode::kUnsupported,
          "Row {} of a data file cannot be named: deletion vectors and indexes reach to row {}",
          position, kMaxPosition);
  }
  bitmap_->rows.add(static_cast<uint32_t>(position));
}

void RowSet::AddAll(const RowSet& other) {
  bitmap_->rows |= other.bitmap_->rows;
}

void RowSet::KeepOnly(const RowSet& other) {
  bitmap_->rows &= other.bitmap_->rows;
}

RowSet RowSet::Complement(int64_t rows) const {
  RowSet complement = Copy();
  complement.bitmap_->rows.flip(0, static_cast<uint64_t>(rows));
  return complement;
}

bool RowSet::Empty() const {
  return bitmap_->rows.isEmpty();
}

bool RowSet::Contains(int64_t position) const {
  return position >= 0 && position <= kMaxPosition &&
         bitmap_->rows.contains(static_cast<uint32_t>(position));
}

int64_t RowSet::Size() const {
  return static_cast<int64_t>(bitmap_->rows.cardinality());
}

int64_t RowSet::CountIn(int64_t first, int64_t count) const {
  if (count <= 0) return 0;
  uint64_t up_to_end = bitmap_->rows.rank(static_cast<uint32_t>(first + count - 1));
  uint64_t before = first == 0 ? 0 : bitmap_->rows.rank(static_cast<uint32_t>(first - 1));
  return static_cast<int64_t>(up_to_end - before);
}

idx_t RowSet::SelectOthers(int64_t first, idx_t count, SelectionVector& others) const {
  roaring_uint32_iterator_t in;
  roaring_init_iterator(&bitmap_->rows.roaring, &in);
  bool any = roaring_move_uint32_iterator_equalorlarger(&in, static_cast<uint32_t>(first));
  idx_t found = 0;
  for (idx_t row = 0; row < count; row++) {
    idx_t end = count;
    if (any && in.current_value < static_cast<uint64_t>(first) + count) {
      end = in.current_value - static_cast<uint64_t>(first);
      any = roaring_advance_uint32_iterator(&in);
    }
    for (; row < end; row++) others.set_index(found++, row);
  }
  return found;
}

std::vector<int64_t> RowSet::Positions() const {
  return std::vector<int64_t>(bitmap_->rows.begin(), bitmap_->rows.end());
}

bool RowSet::operator==(const RowSet& other) const {
  return bitmap_->rows == other.bitmap_->rows;
}

std::string RowSet::Encode() const {
  Roaring compact = bitmap_->rows;
  compact.runOptimize();
  std::string bytes(compact.getSizeInBytes(), '\0');
  compact.write(bytes.data());
  return bytes;
}

int64_t RowSet::EncodedBytes() const {
  return static_cast<int64_t>(bitmap_->rows.getSizeInBytes());
}

std::optional<RowSet> RowSet::Decode(std::string_view bytes, size_t& used) {
  std::optional<size_t> length = CheckRoaring(bytes);
  if (!length) return std::nullopt;
  used = *length;
  RowSet set;
  set.bitmap_->rows = Roaring::readSafe(bytes.data(), used);
  return set;
}

}  // namespace millrace
