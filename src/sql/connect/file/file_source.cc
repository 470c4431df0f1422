#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "format/codec/cell_text.h"
#include "format/codec/codec.h"
#include "sql/connect/file/file_reader.h"

namespace millrace {

namespace {

constexpr int kDepthMax = 20;  // Folders in folders.

/// The files begun, in the order of reading, and the place in the last of them.
struct FilePosition {
  std::vector<std::string> begun;  // Relative to the table's folder.
  FileOffset offset;

  std::string ToText() const {
    nlohmann::json json = {{"files", begun}, {"offset", offset.bytes}, {"record", offset.records}};
    return json.dump();
  }
  static FilePosition Parse(const std::string& text) {
    try {
      auto json = nlohmann::json::parse(text);
      FilePosition position;
      position.begun = json.at("files").get<std::vector<std::string>>();
      position.offset = {json.at("offset").get<int64_t>(), json.at("record").get<int64_t>()};
      return position;
    } catch (const nlohmann::json::exception&) {
      Throw(ErrorCode::kCorrupt, "'{}' is no position of a filesystem source", Shortened(text));
    }
  }
};

bool IsHidden(const std::string& name) {
  return name.empty() || name[0] == '.' || name[0] == '_';
}

class FileSource : public Source {
 public:
  FileSource(Environment& environment, const SourceTable& source, bool bounded)
      : environment_(environment),
        definition_(source.definition),
        table_(*definition_),
        columns_(source.columns),
        bounded_(bounded || table_.monitor_ms == 0) {
    duckdb::vector<LogicalType> types, data_types;
    std::vector<idx_t> physical = definition_->PhysicalColumns();
    for (idx_t index : columns_) {
      types.push_back(definition_->columns[index].type.ToDuck());
      idx_t place =
          static_cast<idx_t>(std::find(physical.begin(), physical.end(), index) - physical.begin());
      auto data = std::find(table_.data_columns.begin(), table_.data_columns.end(), place);
      if (data == table_.data_columns.end()) {  // A partition key, or metadata.
        from_file_.push_back(-1);
        continue;
      }
      from_file_.push_back(static_cast<int>(wanted_.size()));
      wanted_.push_back(static_cast<idx_t>(data - table_.data_columns.begin()));
      data_types.push_back(types.back());
    }
    file_chunk_.Initialize(data_types);
    chunk_.Initialize(types);
    changelog_ = table_.format == "debezium-json" ? ChangelogType::kFull : ChangelogType::kAppend;
  }

  ChangelogType Changelog(idx_t) const override { return changelog_; }
  bool IsBounded() const override { return bounded_; }

  SourceStatus Read(const ReadLimit& limit,
                    const std::function<void(idx_t, ChangeChunk&)>& receive) override {
    FilePosition before = position_;
    try {
      if (limit.until) {
        ReadUntil(FilePosition::Parse(*limit.until), receive);
        return SourceStatus::kProgress;
      }
      return ReadSome(limit.max_rows, receive);
    } catch (...) {
      CloseFile();
      pending_.clear();  // Listed again: the files begun since are not begun any more.
      listed_us_ = -1;
      position_ = std::move(before);
      throw;
    }
  }

  std::string Position() const override { return position_.ToText(); }
  void Seek(const std::string& position) override {
    CloseFile();
    pending_.clear();
    listed_us_ = -1;
    position_ = FilePosition::Parse(position);
    at_end_of_file_ = position_.begun.empty();
  }
  int64_t EventTimeMs() const override { return event_time_ms_; }
  int64_t SkippedRecords() const override { return skipped_ + (reader_ ? reader_->Skipped() : 0); }

 private:
  SourceStatus ReadSome(idx_t max_rows, const std::function<void(idx_t, ChangeChunk&)>& receive) {
    idx_t rows = 0;
    while (rows < max_rows) {
      if (at_end_of_file_ && !NextFile()) {
        if (bounded_) return SourceStatus::kEnd;
        return rows > 0 ? SourceStatus::kProgress : SourceStatus::kIdle;
      }
      rows += ReadChunk(max_rows - rows, -1, receive);
    }
    return SourceStatus::kProgress;
  }

  void ReadUntil(const FilePosition& until,
                 const std::function<void(idx_t, ChangeChunk&)>& receive) {
    bool prefix = position_.begun.size() <= until.begun.size() &&
                  std::equal(position_.begun.begin(), position_.begun.end(), until.begun.begin());
    if (!prefix) {
      Throw(ErrorCode::kCorrupt, "Reading {}: position {} does not follow on {}", table_.path,
            until.ToText(), position_.ToText());
    }
    while (true) {
      bool last = position_.begun.size() == until.begun.size();
      if (!position_.begun.empty()) {
        while (!at_end_of_file_ && (!last || position_.offset.bytes < until.offset.bytes)) {
          ReadChunk(kChunkRows, last ? until.offset.bytes : -1, receive);
        }
        if (last) position_.offset = until.offset;
      }
      if (last) break;
      BeginFile(until.begun[position_.begun.size()]);
    }
    pending_.clear();
    listed_us_ = -1;
  }

  /// Delivers the next rows of the current file; how many there were.
  idx_t ReadChunk(idx_t max_rows, int64_t stop,
                  const std::function<void(idx_t, ChangeChunk&)>& receive) {
    if (!reader_) {
      reader_ = OpenFile(environment_, table_, wanted_, FullPath(position_.begun.back()),
                         position_.offset);
    }
    file_chunk_.Reset();
    bool some = reader_->Next(file_chunk_, max_rows, stop);
    position_.offset = reader_->Offset();
    if (!some) {
      if (stop >= 0 && position_.offset.bytes < stop) {
        Throw(ErrorCode::kCorrupt, "Reading {} again: it ends at {}, and {} was read before",
              FullPath(position_.begun.back()), position_.offset.bytes, stop);
      }
      if (stop < 0) {
        CloseFile();
        at_end_of_file_ = true;
      }
      return 0;
    }
    event_time_ms_ = environment_.clock.NowMs();
    idx_t count = file_chunk_.size();
    if (wanted_.size() == columns_.size()) {
      receive(0, file_chunk_);
      return count;
    }
    chunk_.Reset();
    for (idx_t i = 0; i < columns_.size(); i++) {
      if (from_file_[i] >= 0) {
        chunk_.rows.data[i].Reference(file_chunk_.rows.data[static_cast<idx_t>(from_file_[i])]);
      } else {
        chunk_.rows.data[i].Reference(FileConstant(definition_->columns[columns_[i]]));
      }
    }
    chunk_.rows.SetCardinality(count);
    chunk_.kinds = file_chunk_.kinds;
    receive(0, chunk_);
    return count;
  }

  /// The value that `column` has in all rows of the current file: partition key or metadata.
  Value FileConstant(const ColumnDefinition& column) const {
    const std::string& name = position_.begun.back();
    if (column.metadata)
      return Value(*column.metadata == "file.name" ? FileName(name) : FullPath(name));
    std::string mark = "/" + EscapePathPart(column.name) + "=";
    std::string framed = "/" + name;
    size_t start = framed.find(mark);
    if (start == std::string::npos) {
      Throw(ErrorCode::kData,
            "Reading {}: the path has no folder '{}=...', by which the table is partitioned",
            FullPath(name), column.name);
    }
    start += mark.size();
    std::string text = UnescapePathPart(framed.substr(start, framed.find('/', start) - start));
    if (text == table_.default_partition) return Value(column.type.ToDuck());
    Vector cell(column.type.ToDuck());
    if (!SetCellFromText(column.type, cell, 0, text)) {
      Throw(ErrorCode::kData,
            "Reading {}: '{}' in the path is not a {}, as partition column '{}' is", FullPath(name),
            text, column.type.ToString(), column.name);
    }
    return cell.GetValue(0);
  }

  bool NextFile() {
    if (pending_.empty()) ListFiles();
    while (!pending_.empty()) {
      std::string name = pending_.back();
      pending_.pop_back();
      // Who watches a folder is not alone with it: a file that has gone again was never there.
      if (!bounded_ && !environment_.files.Exists(FullPath(name))) continue;
      BeginFile(name);
      return true;
    }
    return false;
  }

  void BeginFile(const std::string& name) {
    CloseFile();
    position_.begun.push_back(name);
    position_.offset = {};
    at_end_of_file_ = false;
  }

  void CloseFile() {
    if (reader_) skipped_ += reader_->Skipped();
    reader_.reset();
  }

  std::string FullPath(const std::string& name) const {
    return name == "." ? table_.path : JoinPath(table_.path, name);
  }

  /// Fills pending_ with the files not begun yet, the next one last. A watched folder is not listed
  /// more often than its interval; a bounded one once.
  void ListFiles() {
    int64_t now_us = environment_.clock.MonotonicUs();
    if (listed_us_ >= 0 && (bounded_ || now_us - listed_us_ < table_.monitor_ms * 1000)) return;
    std::vector<std::string> found;
    size_t slash = table_.path.rfind('/');
    std::string parent = slash == 0 ? "/" : table_.path.substr(0, slash);
    bool exists = false;
    for (const FileEntry& entry : environment_.files.List(parent)) {
      if (entry.name != FileName(table_.path)) continue;
      exists = true;
      if (entry.is_folder) {
        ListFolder("", 0, found);
      } else {
        found.push_back(".");  // The path itself is the file.
      }
    }
    if (!exists && bounded_ && table_.path != "/") {
      Throw(ErrorCode::kNotFound, "Table {}: its 'path' {} does not exist",
            definition_->path.ToString(), table_.path);
    }
    std::set<std::string> begun(position_.begun.begin(), position_.begun.end());
    std::erase_if(found, [&](const std::string& name) { return begun.count(name) != 0; });
    std::sort(found.begin(), found.end(), std::greater<>());
    pending_ = std::move(found);
    listed_us_ = now_us;
  }

  void ListFolder(const std::string& folder, int depth, std::vector<std::string>& found) {
    std::string full = folder.empty() ? table_.path : JoinPath(table_.path, folder);
    if (depth > kDepthMax) {
      Throw(ErrorCode::kInvalid, "Table {}: {} lies {} folders deep; does a link lead back?",
            definition_->path.ToString(), full, depth);
    }
    for (const FileEntry& entry : environment_.files.List(full)) {
      if (IsHidden(entry.name)) continue;
      std::string name = folder.empty() ? entry.name : JoinPath(folder, entry.name);
      if (entry.is_folder) {
        ListFolder(name, depth + 1, found);
      } else {
        found.push_back(name);
      }
    }
  }

  Environment& environment_;
  std::shared_ptr<const TableDefinition> definition_;
  FileTable table_;
  std::vector<idx_t> columns_;  // Wanted, of the definition.
  std::vector<idx_t> wanted_;   // Of those, the ones in the files: indexes into table_.fields.
  std::vector<int> from_file_;  // By wanted column: column of file_chunk_, or -1.
  bool bounded_;
  ChangelogType changelog_;
  FilePosition position_;
  bool at_end_of_file_ = true;
  std::unique_ptr<FileReader> reader_;
  std::vector<std::string> pending_;
  int64_t listed_us_ = -1;
  ChangeChunk file_chunk_, chunk_;
  int64_t event_time_ms_ = 0;
  int64_t skipped_ = 0;
};

}  // namespace

std::unique_ptr<Source> MakeFileSource(Environment& environment, const SourceTable& table,
                                       bool bounded) {
  return std::make_unique<FileSource>(environment, table, bounded);
}

}  // namespace millrace
