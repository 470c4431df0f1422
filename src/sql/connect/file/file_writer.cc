#include "sql/connect/file/file_writer.h"

#include "format/codec/codec.h"

namespace millrace {

namespace {

constexpr size_t kFlushBytes = 1 << 20;

class TextWriter : public FileWriter {
 public:
  TextWriter(FileSystem& files, const FileTable& table, const std::string& path)
      : file_(files.OpenForWrite(path)),
        encoder_(MakeEncoder(table.format, table.fields, table.definition->options)),
        buffer_(encoder_->Header()) {}

  void Write(ChangeChunk& chunk) override {
    encoder_->Encode(chunk, buffer_);
    if (buffer_.size() >= kFlushBytes) Flush();
  }
  int64_t Size() const override { return file_->Size() + static_cast<int64_t>(buffer_.size()); }
  void Close() override {
    Flush();
    file_->Close();
  }

 private:
  void Flush() {
    file_->Append(buffer_);
    buffer_.clear();
  }

  std::unique_ptr<WritableFile> file_;
  std::unique_ptr<Encoder> encoder_;
  std::string buffer_;
};

class ParquetWriter : public FileWriter {
 public:
  explicit ParquetWriter(std::unique_ptr<ParquetFileWriter> writer) : writer_(std::move(writer)) {}
  void Write(ChangeChunk& chunk) override { writer_->Write(chunk.rows); }
  int64_t Size() const override { return writer_->EstimatedSize(); }
  void Close() override { writer_->Finish(); }

 private:
  std::unique_ptr<ParquetFileWriter> writer_;
};

}  // namespace

std::unique_ptr<FileWriter> OpenFileWriter(Environment& environment, const FileTable& table,
                                           const std::string& path) {
  if (table.IsParquet()) {
    return std::make_unique<ParquetWriter>(OpenParquetWriter(environment, table, path));
  }
  return std::make_unique<TextWriter>(environment.files, table, path);
}

std::string FileHeader(const FileTable& table) {
  if (table.IsParquet()) return "";
  return MakeEncoder(table.format, table.fields, table.definition->options)->Header();
}

std::vector<FileColumn> ParquetColumns(const FileTable& table) {
  std::vector<FileColumn> columns;
  for (const DataField& field : table.fields) columns.push_back({field.name, field.type, -1});
  return columns;
}

std::unique_ptr<ParquetFileWriter> OpenParquetWriter(Environment& environment,
                                                     const FileTable& table,
                                                     const std::string& path) {
  ParquetWriteOptions options;
  options.compression = TableOptions(*table.definition).Text("parquet.compression", "zstd");
  return std::make_unique<ParquetFileWriter>(environment.database, environment.files, path,
                                             ParquetColumns(table), options);
}

}  // namespace millrace
