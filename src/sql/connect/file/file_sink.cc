#include <nlohmann/json.hpp>

#include "base/error.h"
#include "format/codec/cell_text.h"
#include "format/codec/codec.h"
#include "format/parquet_file.h"
#include "sql/connect/file/file_table.h"

namespace millrace {

namespace {

constexpr size_t kFlushBytes = 1 << 20;

/// Writes one file under its hidden name.
class FileWriter {
 public:
  virtual ~FileWriter() = default;
  virtual void Write(ChangeChunk& chunk) = 0;
  virtual int64_t Size() const = 0;
  virtual void Close() = 0;
};

class TextWriter : public FileWriter {
 public:
  /// `old_path`: a file whose content comes first, if it exists.
  TextWriter(FileSystem& files, const FileTable& table, const std::string& path,
             const std::string& old_path)
      : file_(files.OpenForWrite(path)),
        encoder_(MakeEncoder(table.format, table.fields, table.definition->options)) {
    if (!old_path.empty() && files.Exists(old_path)) {
      Copy(*files.OpenForRead(old_path));
    } else {
      buffer_ = encoder_->Header();
    }
  }

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
  void Copy(RandomAccessFile& old) {
    int64_t size = old.Size();
    for (int64_t at = 0; at < size;) {
      buffer_.resize(static_cast<size_t>(std::min<int64_t>(kFlushBytes, size - at)));
      old.ReadAt(at, buffer_.data(), static_cast<int64_t>(buffer_.size()));
      at += static_cast<int64_t>(buffer_.size());
      if (at == size && !buffer_.empty() && buffer_.back() != '\n') buffer_ += '\n';
      Flush();
    }
  }

  std::unique_ptr<WritableFile> file_;
  std::unique_ptr<Encoder> encoder_;
  std::string buffer_;
};

class ParquetWriter : public FileWriter {
 public:
  ParquetWriter(Environment& environment, const FileTable& table, const std::string& path) {
    std::vector<FileColumn> columns;
    for (const DataField& field : table.fields) columns.push_back({field.name, field.type, -1});
    ParquetWriteOptions options;
    options.compression = TableOptions(*table.definition).Text("parquet.compression", "zstd");
    writer_ = std::make_unique<ParquetFileWriter>(environment.database, environment.files, path,
                                                  std::move(columns), options);
  }
  void Write(ChangeChunk& chunk) override { writer_->Write(chunk.rows); }
  int64_t Size() const override { return writer_->EstimatedSize(); }
  void Close() override { writer_->Finish(); }

 private:
  std::unique_ptr<ParquetFileWriter> writer_;
};

/// A file that is being written, and the name it will have.
struct OpenFile {
  std::unique_ptr<FileWriter> writer;
  std::string hidden, final;
};

/// Files lie under hidden names until Commit renames them; what Prepare tells is the list of names.
class FileSink : public Sink {
 public:
  FileSink(Environment& environment, const TableDefinition& definition)
      : environment_(environment), definition_(definition), table_(definition_) {
    duckdb::vector<LogicalType> types;
    for (const DataField& field : table_.fields) types.push_back(field.type.ToDuck());
    part_.Initialize(types);
  }

  ChangelogType Accepts() const override {
    return table_.format == "debezium-json" ? ChangelogType::kFull : ChangelogType::kAppend;
  }
  bool ShowsSteps() const override { return false; }

  void Write(ChangeChunk& chunk) override {
    if (chunk.size() == 0) return;
    CheckKinds(chunk);
    if (table_.partition_columns.empty()) {
      WritePart("", chunk);
      return;
    }
    for (auto& [folder, rows] : SplitByPartition(chunk)) {
      SelectionVector selection(rows.data());
      part_.Reset();
      for (idx_t i = 0; i < table_.data_columns.size(); i++) {
        part_.rows.data[i].Slice(chunk.rows.data[table_.data_columns[i]], selection, rows.size());
      }
      part_.rows.SetCardinality(rows.size());
      if (!chunk.kinds.empty()) {
        for (auto row : rows) part_.kinds.push_back(chunk.kinds[row]);
      }
      WritePart(folder, part_);
    }
  }

  void EndStep(int64_t) override {}

  std::string Prepare(int64_t) override {
    for (auto& [folder, file] : open_) CloseFile(file);
    open_.clear();
    if (closed_.empty()) return "";
    nlohmann::json files = nlohmann::json::array();
    for (const auto& [hidden, final] : closed_) files.push_back({hidden, final});
    closed_.clear();
    return files.dump();
  }

  std::optional<Published> Commit(int64_t checkpoint, const std::string& prepared) override {
    if (prepared.empty()) return std::nullopt;
    for (const auto& names : nlohmann::json::parse(prepared)) {
      std::string hidden = names[0].get<std::string>(), final = names[1].get<std::string>();
      if (environment_.files.Exists(hidden)) {
        environment_.files.Rename(hidden, final);
      } else if (!environment_.files.Exists(final)) {
        Throw(ErrorCode::kIo,
              "Publishing checkpoint {} of table {}: neither {} nor {} exists; was one deleted?",
              checkpoint, definition_.path.ToString(), hidden, final);
      }
    }
    return std::nullopt;
  }

 private:
  void CheckKinds(const ChangeChunk& chunk) const {
    if (Accepts() == ChangelogType::kFull) return;
    for (RowKind kind : chunk.kinds) {
      if (kind == RowKind::kInsert) continue;
      Throw(ErrorCode::kUnsupported,
            "Writing table {}: a file of format '{}' holds inserted rows only, and a {} row came; "
            "use "
            "'format' = 'debezium-json', or a table with a primary key",
            definition_.path.ToString(), table_.format, RowKindName(kind));
    }
  }

  /// Folder -> rows, for each partition in the chunk.
  std::map<std::string, std::vector<duckdb::sel_t>> SplitByPartition(ChangeChunk& chunk) {
    std::vector<UnifiedVectorFormat> keys(table_.partition_columns.size());
    for (idx_t k = 0; k < keys.size(); k++) {
      chunk.rows.data[table_.partition_columns[k]].ToUnifiedFormat(chunk.size(), keys[k]);
    }
    std::map<std::string, std::vector<duckdb::sel_t>> parts;
    std::string folder, text;
    for (idx_t row = 0; row < chunk.size(); row++) {
      folder.clear();
      for (idx_t k = 0; k < keys.size(); k++) {
        const DataField& field = table_.all[table_.partition_columns[k]];
        idx_t index = keys[k].sel->get_index(row);
        text.clear();
        if (keys[k].validity.RowIsValid(index)) {
          AppendCell(field.type, keys[k], index, {}, text);
          text = EscapePathPart(text);
        }
        if (text.empty()) text = table_.default_partition;
        if (k > 0) folder += '/';
        folder += EscapePathPart(field.name) + "=" + text;
      }
      parts[folder].push_back(static_cast<duckdb::sel_t>(row));
    }
    return parts;
  }

  void WritePart(const std::string& folder, ChangeChunk& chunk) {
    auto [slot, is_new] = open_.try_emplace(folder);
    if (is_new) slot->second = Open(folder);
    slot->second.writer->Write(chunk);
    if (!table_.single_file && slot->second.writer->Size() >= table_.roll_bytes) {
      CloseFile(slot->second);
      open_.erase(slot);
    }
  }

  OpenFile Open(const std::string& folder) {
    OpenFile file;
    std::string place = folder.empty() ? table_.path : JoinPath(table_.path, folder);
    std::string name = "part-" + environment_.random.Uuid() + table_.Ending();
    if (table_.single_file) {
      file.final = table_.path;
      size_t slash = table_.path.rfind('/');
      name = FileName(table_.path) + "-" + environment_.random.Uuid();
      place = table_.path.substr(0, slash);
      if (table_.IsParquet() && environment_.files.Exists(file.final)) {
        Throw(
            ErrorCode::kUnsupported,
            "Writing table {}: {} exists, and rows cannot be appended to one Parquet file; name a "
            "folder as 'path'",
            definition_.path.ToString(), file.final);
      }
    } else {
      file.final = JoinPath(place, name);
    }
    file.hidden = JoinPath(place, "." + name + ".inprogress");
    environment_.files.MakeFolder(place);
    if (table_.IsParquet()) {
      file.writer = std::make_unique<ParquetWriter>(environment_, table_, file.hidden);
    } else {
      file.writer = std::make_unique<TextWriter>(environment_.files, table_, file.hidden,
                                                 table_.single_file ? file.final : "");
    }
    return file;
  }

  void CloseFile(OpenFile& file) {
    file.writer->Close();
    closed_.emplace_back(file.hidden, file.final);
  }

  Environment& environment_;
  TableDefinition definition_;
  FileTable table_;
  ChangeChunk part_;
  std::map<std::string, OpenFile> open_;  // By partition folder.
  std::vector<std::pair<std::string, std::string>> closed_;
};

}  // namespace

std::unique_ptr<Sink> MakeFileSink(Environment& environment, const TableDefinition& definition) {
  return std::make_unique<FileSink>(environment, definition);
}

}  // namespace millrace
