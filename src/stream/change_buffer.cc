#include "stream/change_buffer.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"

namespace millrace {

namespace {

using duckdb::FlatVector;
using duckdb::ValidityMask;

bool IsText(const LogicalType& type) {
  return type.InternalType() == duckdb::PhysicalType::VARCHAR;
}

void Put(std::string& bytes, const void* data, idx_t size) {
  bytes.append(static_cast<const char*>(data), size);
}

/// Takes the bytes of a frame apart.
class FrameReader {
 public:
  explicit FrameReader(const std::string& bytes) : at_(bytes.data()) {}
  const char* Take(idx_t size) {
    const char* taken = at_;
    at_ += size;
    return taken;
  }
  template <typename T>
  T Get() {
    T value;
    std::memcpy(&value, Take(sizeof(T)), sizeof(T));
    return value;
  }

 private:
  const char* at_;
};

void GetColumn(FrameReader& frame, idx_t rows, Vector& column) {
  ValidityMask& validity = FlatVector::Validity(column);
  if (frame.Get<uint8_t>()) {
    validity.EnsureWritable();
    idx_t size = ValidityMask::ValidityMaskSize(rows);
    std::memcpy(validity.GetData(), frame.Take(size), size);
  } else {
    validity.SetAllValid(rows);
  }
  if (!IsText(column.GetType())) {
    idx_t size = rows * duckdb::GetTypeIdSize(column.GetType().InternalType());
    std::memcpy(FlatVector::GetData(column), frame.Take(size), size);
    return;
  }
  const char* lengths = frame.Take(rows * sizeof(uint32_t));
  auto* texts = FlatVector::GetData<string_t>(column);
  for (idx_t i = 0; i < rows; i++) {
    uint32_t length;
    std::memcpy(&length, lengths + i * sizeof(length), sizeof(length));
    texts[i] = string_t(frame.Take(length), length);
  }
}

}  // namespace

ChangeSpool::Frame ChangeSpool::Write(const std::string& bytes) {
  Frame frame{0, static_cast<int64_t>(bytes.size())};
  {
    std::lock_guard lock(mutex_);
    frame.offset = end_;
    end_ += frame.bytes;
    frames_++;
  }
  try {
    file_->Write(frame.offset, bytes.data(), frame.bytes);
  } catch (...) {
    Forget(1);
    throw;
  }
  return frame;
}

void ChangeSpool::Read(const Frame& frame, std::string& bytes) {
  bytes.resize(static_cast<size_t>(frame.bytes));
  file_->Read(frame.offset, bytes.data(), frame.bytes);
}

void ChangeSpool::Forget(idx_t frames) {
  std::lock_guard lock(mutex_);
  frames_ -= frames;
  if (frames_ == 0) end_ = 0;
}

bool ChangeSpool::Takes(const duckdb::vector<LogicalType>& types) {
  return std::none_of(types.begin(), types.end(),
                      [](const LogicalType& type) { return type.IsNested(); });
}

ChangeBuffer::ChangeBuffer(duckdb::vector<LogicalType> types, idx_t chunk_rows)
    : types_(std::move(types)), chunk_rows_(chunk_rows), can_spool_(ChangeSpool::Takes(types_)) {}

ChangeChunk& ChangeBuffer::WithRoom() {
  if (used_ > 0 && chunks_[used_ - 1]->size() < chunk_rows_) return *chunks_[used_ - 1];
  if (spool_ && used_ >= most_chunks_ && !being_read_) Spool();
  if (used_ == chunks_.size()) {
    auto made = std::make_unique<ChangeChunk>();
    if (!types_.empty()) {
      made->rows.Initialize(duckdb::Allocator::DefaultAllocator(), types_, chunk_rows_);
    }
    chunks_.push_back(std::move(made));
  }
  return *chunks_[used_++];
}

void ChangeBuffer::Append(const ChangeChunk& chunk, const SelectionVector* selected, idx_t count) {
  rows_ += count;
  for (idx_t done = 0, part; done < count; done += part) {
    ChangeChunk& to = WithRoom();
    idx_t at = to.size();
    part = std::min(count - done, chunk_rows_ - at);
    for (idx_t i = 0; i < types_.size(); i++) {
      const Vector& source = chunk.rows.data[i];
      if (selected) {
        duckdb::VectorOperations::Copy(source, to.rows.data[i], *selected, done + part, done, at);
      } else {
        duckdb::VectorOperations::Copy(source, to.rows.data[i], done + part, done, at);
      }
    }
    if (!chunk.kinds.empty()) {
      to.ExpandKinds();
      for (idx_t i = done; i < done + part; i++) {
        to.kinds.push_back(chunk.kinds[selected ? selected->get_index(i) : i]);
      }
    } else if (!to.kinds.empty()) {
      to.kinds.resize(at + part, RowKind::kInsert);
    }
    to.rows.SetCardinality(at + part);
  }
}

void ChangeBuffer::PutColumn(idx_t column) {
  bool has_nulls = false;
  for (idx_t i = 0; i < used_; i++) {
    has_nulls |= !FlatVector::Validity(chunks_[i]->rows.data[column]).AllValid();
  }
  bytes_.push_back(has_nulls ? 1 : 0);
  for (idx_t i = 0; has_nulls && i < used_; i++) {
    auto& validity = FlatVector::Validity(chunks_[i]->rows.data[column]);
    idx_t size = ValidityMask::ValidityMaskSize(chunk_rows_);
    if (validity.AllValid()) {
      bytes_.append(size, '\xff');
    } else {
      Put(bytes_, validity.GetData(), size);
    }
  }
  if (!IsText(types_[column])) {
    idx_t size = chunk_rows_ * duckdb::GetTypeIdSize(types_[column].InternalType());
    for (idx_t i = 0; i < used_; i++) {
      Put(bytes_, FlatVector::GetData(chunks_[i]->rows.data[column]), size);
    }
    return;
  }
  auto each = [&](auto&& put) {
    for (idx_t i = 0; i < used_; i++) {
      Vector& texts = chunks_[i]->rows.data[column];
      auto& validity = FlatVector::Validity(texts);
      for (idx_t row = 0; row < chunk_rows_; row++) {
        put(validity.RowIsValid(row) ? FlatVector::GetData<string_t>(texts)[row] : string_t());
      }
    }
  };
  each([&](const string_t& text) {
    auto length = static_cast<uint32_t>(text.GetSize());
    Put(bytes_, &length, sizeof(length));
  });
  each([&](const string_t& text) { Put(bytes_, text.GetData(), text.GetSize()); });
}

/// All chunks in memory are full.
void ChangeBuffer::Spool() {
  auto rows = static_cast<uint32_t>(used_ * chunk_rows_);
  bytes_.clear();
  Put(bytes_, &rows, sizeof(rows));
  bool has_kinds = std::any_of(chunks_.begin(), chunks_.begin() + static_cast<int64_t>(used_),
                               [](auto& chunk) { return !chunk->kinds.empty(); });
  bytes_.push_back(has_kinds ? 1 : 0);
  for (idx_t i = 0; has_kinds && i < used_; i++) {
    chunks_[i]->ExpandKinds();
    Put(bytes_, chunks_[i]->kinds.data(), chunk_rows_ * sizeof(RowKind));
  }
  for (idx_t column = 0; column < types_.size(); column++) PutColumn(column);
  frames_.reserve(frames_.size() + 1);
  frames_.push_back(spool_->Write(bytes_));
  for (idx_t i = 0; i < used_; i++) chunks_[i]->Reset();
  used_ = 0;
}

ChangeChunk& ChangeBuffer::Chunk(idx_t i) {
  if (spool_) being_read_ = true;
  if (i >= frames_.size()) return *chunks_[i - frames_.size()];
  if (!from_frame_) {
    from_frame_ = std::make_unique<ChangeChunk>();
    if (!types_.empty()) {
      from_frame_->rows.Initialize(duckdb::Allocator::DefaultAllocator(), types_, kChunkRows);
    }
  }
  from_frame_->Reset();
  spool_->Read(frames_[i], bytes_);
  FrameReader frame(bytes_);
  auto rows = frame.Get<uint32_t>();
  if (frame.Get<uint8_t>()) {
    auto* kinds = reinterpret_cast<const RowKind*>(frame.Take(rows * sizeof(RowKind)));
    from_frame_->kinds.assign(kinds, kinds + rows);
  }
  for (Vector& column : from_frame_->rows.data) GetColumn(frame, rows, column);
  from_frame_->rows.SetCardinality(rows);
  return *from_frame_;
}

void ChangeBuffer::Clear() {
  for (idx_t i = 0; i < used_; i++) chunks_[i]->Reset();
  used_ = 0;
  rows_ = 0;
  being_read_ = false;
  if (frames_.empty()) return;
  spool_->Forget(frames_.size());
  frames_.clear();
  // There are many buffers, and these count for none of what they may keep.
  from_frame_.reset();
  bytes_ = {};
}

void ChangeBuffer::Free() {
  Clear();
  chunks_.clear();
}

void ChangeBuffer::SetSpool(ChangeSpool* spool, idx_t most) {
  MILLRACE_CHECK(rows_ == 0);
  spool_ = can_spool_ ? spool : nullptr;
  most_chunks_ = std::clamp<idx_t>(most / chunk_rows_, 1, kChunkRows / chunk_rows_);
}

}  // namespace millrace
