// file_sink.cc - rows into the files of a `filesystem` table, published by checkpoints.
//
// A folder gets new part files; a table that is one file grows by what each checkpoint prepared
// (single_file.h). Hidden names end with a tag of the writing job, by which the job, when it runs
// again, knows what it has left behind.
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "format/codec/value_text.h"
#include "sql/connect/file/file_writer.h"
#include "sql/connect/file/single_file.h"

namespace millrace {

namespace {

/// FNV-1a, as 8 hex digits: the same in every run.
std::string ShortHash(const std::string& text) {
  uint32_t hash = 2166136261U;
  for (unsigned char c : text) hash = (hash ^ c) * 16777619U;
  return fmt::format("{:08x}", hash);
}

/// A file that is being written, and the name it will have.
struct OpenFile {
  std::unique_ptr<FileWriter> writer;
  std::string hidden, final;
};

/// Files lie under hidden names until Commit publishes them; what Prepare tells is their names:
/// [hidden, final], and for a part of one file the length of its header as well.
class FileSink : public Sink {
 public:
  FileSink(Environment& environment, const TableDefinition& definition, const std::string& job)
      : environment_(environment),
        definition_(definition),
        table_(definition_),
        hidden_ending_("." + ShortHash(job) + ".inprogress") {
    duckdb::vector<LogicalType> types;
    for (const DataField& field : table_.fields) types.push_back(field.type.ToDuck());
    part_.Initialize(types);
    if (table_.single_file && !IsFolder(table_.path)) single_.emplace(environment, table_);
  }

  /// What was not prepared is nobody's.
  ~FileSink() override {
    for (auto& [folder, file] : open_) {
      file.writer.reset();
      closed_.emplace_back(file.hidden, file.final);
    }
    for (const auto& [hidden, final] : closed_) {
      try {
        environment_.files.Delete(hidden);
      } catch (const Error&) {  // A hidden file stays until the job runs again.
      }
    }
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
    for (const auto& [hidden, final] : closed_) {
      files.push_back({hidden, final});
      if (single_) files.back().push_back(FileHeader(table_).size());
    }
    closed_.clear();
    return files.dump();
  }

  std::optional<Published> Commit(int64_t checkpoint, const std::string& prepared) override {
    if (prepared.empty()) return std::nullopt;
    for (const auto& names : nlohmann::json::parse(prepared)) {
      std::string hidden = names[0].get<std::string>(), final = names[1].get<std::string>();
      bool found = names.size() > 2
                       ? SingleFile(environment_, table_).Publish(hidden, names[2].get<int64_t>())
                       : PublishFile(hidden, final);
      if (found) continue;
      Throw(ErrorCode::kIo,
            "Publishing checkpoint {} of table {}: neither {} nor {} exists. If a reader has taken "
            "the file away, make an empty one of the second name and run again; if not, its rows "
            "are lost: start over with --fresh",
            checkpoint, definition_.path.ToString(), hidden, final);
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
            "use 'format' = 'debezium-json', or a table with a primary key",
            definition_.path.ToString(), table_.format, RowKindName(kind));
    }
  }

  /// Folder -> rows, for each partition in the chunk.
  std::map<std::string, std::vector<duckdb::sel_t>> SplitByPartition(ChangeChunk& chunk) {
    std::vector<ReadableColumn> keys(table_.partition_columns.size());
    for (idx_t k = 0; k < keys.size(); k++) {
      Vector::RecursiveToUnifiedFormat(chunk.rows.data[table_.partition_columns[k]], chunk.size(),
                                       keys[k]);
    }
    std::map<std::string, std::vector<duckdb::sel_t>> parts;
    std::string folder, text;
    for (idx_t row = 0; row < chunk.size(); row++) {
      folder.clear();
      for (idx_t k = 0; k < keys.size(); k++) {
        const DataField& field = table_.all[table_.partition_columns[k]];
        text.clear();
        AppendValue(keys[k], row, kCsvField, text);  // "" for NULL.
        text = EscapePathPart(text);
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
    if (!single_ && slot->second.writer->Size() >= table_.roll_bytes) {
      CloseFile(slot->second);
      open_.erase(slot);
    }
  }

  OpenFile Open(const std::string& folder) {
    OpenFile file;
    std::string place;
    if (single_) {
      place = single_->folder();
      file.final = single_->path();
      file.hidden = single_->PartName(hidden_ending_);
      single_->CheckFits();
    } else {
      place = folder.empty() ? table_.path : JoinPath(table_.path, folder);
      std::string name = "part-" + environment_.random.Uuid() + table_.Ending();
      file.final = JoinPath(place, name);
      file.hidden = JoinPath(place, "." + name + hidden_ending_);
    }
    environment_.files.MakeFolder(place);
    DeleteLeftovers(place);
    file.writer = OpenFileWriter(environment_, table_, file.hidden);
    return file;
  }

  /// What an earlier life of the job wrote and no checkpoint names: all that was prepared has been
  /// committed before the first row of this life came.
  void DeleteLeftovers(const std::string& folder) {
    if (!swept_.insert(folder).second) return;
    for (const FileEntry& entry : environment_.files.List(folder)) {
      if (entry.is_folder || entry.name[0] != '.' || !entry.name.ends_with(hidden_ending_)) {
        continue;
      }
      environment_.files.Delete(JoinPath(folder, entry.name));
    }
  }

  bool IsFolder(const std::string& path) const {
    size_t slash = path.rfind('/');
    for (const FileEntry& entry : environment_.files.List(slash == 0 ? "/" : path.substr(0, slash)))
      if (entry.name == FileName(path)) return entry.is_folder;
    return false;
  }

  /// False when the file is neither there nor has been published.
  bool PublishFile(const std::string& hidden, const std::string& final) {
    if (!environment_.files.Exists(hidden)) return environment_.files.Exists(final);
    environment_.files.Rename(hidden, final);
    return true;
  }

  void CloseFile(OpenFile& file) {
    file.writer->Close();
    closed_.emplace_back(file.hidden, file.final);
  }

  Environment& environment_;
  TableDefinition definition_;
  FileTable table_;
  const std::string hidden_ending_;
  std::optional<SingleFile> single_;
  std::set<std::string> swept_;  // Folders without leftovers.
  ChangeChunk part_;
  std::map<std::string, OpenFile> open_;  // By partition folder.
  std::vector<std::pair<std::string, std::string>> closed_;
};

}  // namespace

std::unique_ptr<Sink> MakeFileSink(Environment& environment, const TableDefinition& definition,
                                   const std::string& job) {
  return std::make_unique<FileSink>(environment, definition, job);
}

}  // namespace millrace
