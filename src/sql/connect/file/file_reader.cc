#include "sql/connect/file/file_reader.h"

#include "base/error.h"
#include "format/codec/codec.h"
#include "format/parquet_file.h"

namespace millrace {

namespace {

constexpr int64_t kBlockBytes = 1 << 20;
constexpr size_t kRecordBytesMax = size_t{1} << 30;

class TextReader : public FileReader {
 public:
  TextReader(FileSystem& files, const FileTable& table, const std::vector<idx_t>& wanted,
             const std::string& path, FileOffset start)
      : path_(path),
        file_(files.OpenForRead(path)),
        size_(file_->Size()),
        decoder_(MakeDecoder(table.format, {table.fields, wanted}, table.definition->options)),
        offset_(start.bytes),
        loaded_(start.bytes) {
    decoder_->SetOrigin(path, start.records);
  }

  bool Next(ChangeChunk& chunk, idx_t max_rows, int64_t stop) override {
    decoder_->LimitRows(max_rows);
    int64_t end = stop < 0 ? size_ : std::min(size_, stop);
    while (offset_ < end) {
      auto length = static_cast<size_t>(std::min(loaded_, end) - offset_);
      bool complete = offset_ + static_cast<int64_t>(length) == end;
      idx_t consumed =
          length == 0
              ? 0
              : decoder_->Decode(std::string_view(buffer_).substr(begin_, length), complete, chunk);
      begin_ += consumed;
      offset_ += static_cast<int64_t>(consumed);
      if (chunk.size() > 0) return true;
      if (consumed == 0 && !complete) LoadMore();
      MILLRACE_CHECK(consumed > 0 || !complete || length == 0);
    }
    return false;
  }

  FileOffset Offset() const override { return {offset_, decoder_->Record()}; }
  int64_t Skipped() const override { return decoder_->Skipped(); }

 private:
  /// Moves the rest of the buffer to its front and reads a block (or as much again) behind it.
  void LoadMore() {
    auto rest = static_cast<size_t>(loaded_ - offset_);
    if (rest > kRecordBytesMax) {
      Throw(ErrorCode::kData, "Record {} of {} is longer than 1 GB", decoder_->Record() + 1, path_);
    }
    int64_t more = std::min(std::max(kBlockBytes, static_cast<int64_t>(rest)), size_ - loaded_);
    buffer_.erase(0, begin_);
    begin_ = 0;
    buffer_.resize(rest + static_cast<size_t>(more) + kDecodePadding);
    file_->ReadAt(loaded_, buffer_.data() + rest, more);
    loaded_ += more;
    // Some editors and spreadsheets begin a file with a byte order mark.
    if (offset_ == 0 && std::string_view(buffer_).substr(0, loaded_).starts_with("\xEF\xBB\xBF")) {
      begin_ = 3;
      offset_ = 3;
    }
  }

  std::string path_;
  std::unique_ptr<RandomAccessFile> file_;
  int64_t size_;
  std::unique_ptr<Decoder> decoder_;
  int64_t offset_;      // Of the next record.
  int64_t loaded_;      // The buffer holds the file up to here, ...
  std::string buffer_;  // ... padding behind it,
  size_t begin_ = 0;    // ... the next record from here on.
};

class ParquetReader : public FileReader {
 public:
  ParquetReader(Environment& environment, const FileTable& table, const std::vector<idx_t>& wanted,
                const std::string& path, FileOffset start)
      : wanted_(wanted.size()) {
    std::vector<FileColumn> columns;
    for (idx_t index : wanted)
      columns.push_back({table.fields[index].name, table.fields[index].type, -1});
    // Rows must come even if no column of theirs is wanted.
    if (columns.empty()) columns.push_back({table.fields.at(0).name, table.fields[0].type, -1});
    reader_ =
        std::make_unique<ParquetFileReader>(environment.database, environment.files, path, columns);
    rows_.Initialize(duckdb::Allocator::DefaultAllocator(), reader_->Types());
    while (row_ + static_cast<int64_t>(rows_.size()) <= start.bytes && start.bytes > 0) {
      row_ += static_cast<int64_t>(rows_.size());
      if (!Load()) return;
    }
    used_ = static_cast<idx_t>(start.bytes - row_);
    row_ = start.bytes;
  }

  bool Next(ChangeChunk& chunk, idx_t max_rows, int64_t stop) override {
    if (used_ == rows_.size() && !Load()) return false;
    idx_t count = std::min(rows_.size() - used_, std::max<idx_t>(1, max_rows));
    if (stop >= 0)
      count = std::min<idx_t>(count, static_cast<idx_t>(std::max<int64_t>(0, stop - row_)));
    if (count == 0) return false;
    SelectionVector some(used_, count);
    for (idx_t i = 0; i < wanted_; i++) {
      if (count == rows_.size()) {
        chunk.rows.data[i].Reference(rows_.data[i]);
      } else {
        chunk.rows.data[i].Slice(rows_.data[i], some, count);
      }
    }
    chunk.rows.SetCardinality(count);
    used_ += count;
    row_ += static_cast<int64_t>(count);
    return true;
  }

  FileOffset Offset() const override { return {row_, row_}; }

 private:
  bool Load() {
    rows_.Reset();
    used_ = 0;
    return reader_->Next(rows_) && rows_.size() > 0;
  }

  idx_t wanted_;
  std::unique_ptr<ParquetFileReader> reader_;
  DataChunk rows_;
  idx_t used_ = 0;   // Of rows_.
  int64_t row_ = 0;  // Of the file: the next one.
};

}  // namespace

std::unique_ptr<FileReader> OpenFile(Environment& environment, const FileTable& table,
                                     const std::vector<idx_t>& wanted, const std::string& path,
                                     FileOffset start) {
  if (table.IsParquet()) {
    return std::make_unique<ParquetReader>(environment, table, wanted, path, start);
  }
  return std::make_unique<TextReader>(environment.files, table, wanted, path, start);
}

}  // namespace millrace
