#include "table/verify_vectors.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "format/deletion_vector.h"
#include "lsm/merge_reader.h"
#include "lsm/sort_key.h"
#include "table/bucket_vectors.h"

namespace millrace {

namespace {

/// The visible keys of one run, one after the other, as bytes.
class RunKeys {
 public:
  RunKeys(const TableState& table, const std::string& folder, std::vector<DataFileMeta> files,
          const MergeReadOptions& options)
      : files_(std::move(files)),
        layout_(table.Layout()),
        reader_(table.lsm(), layout_, folder, files_, options) {
    rows_.Initialize(duckdb::Allocator::DefaultAllocator(), reader_.Types());
    Step();
  }

  bool ended() const { return ended_; }
  const std::string& file_name() const { return files_[reader_.CurrentFile()].file_name; }
  const string_t& key() const { return duckdb::FlatVector::GetData<string_t>(*keys_)[row_]; }
  std::string KeyText() const {
    std::string text;
    for (idx_t c = 0; c < rows_.ColumnCount(); c++) {
      text += (c == 0 ? "" : ", ") + rows_.GetValue(c, row_).ToString();
    }
    return text;
  }
  void Step() {
    if (++row_ < rows_.size()) return;
    rows_.Reset();
    row_ = 0;
    ended_ = !reader_.Next(rows_);
    if (ended_) return;
    keys_ = std::make_unique<Vector>(LogicalType(LogicalTypeId::BLOB));
    NormaliseToBlobs(rows_, *keys_);
    keys_->Flatten(rows_.size());
  }

 private:
  const std::vector<DataFileMeta> files_;
  const KeyValueLayout layout_;
  RunReader reader_;
  DataChunk rows_;
  std::unique_ptr<Vector> keys_;
  idx_t row_ = 0;
  bool ended_ = false;
};

}  // namespace

void VisibleKeyVerifier::Check(const Snapshot& snapshot, const std::vector<ManifestEntry>& live,
                               std::vector<Finding>& findings) {
  std::map<std::string, DeletionFile> deletions;
  std::map<std::string, BucketState> states;
  try {
    for (const IndexManifestEntry& entry : ReadIndexEntries(table_, snapshot)) {
      states[BucketName(entry.partition, entry.bucket)].Add(entry);
    }
    deletions = FindDeletions(table_, snapshot);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kIo) throw;
    return;  // Whoever looks at indexes has said so.
  }
  std::map<std::string, std::vector<const ManifestEntry*>> buckets;
  for (const ManifestEntry& entry : live) {
    if (entry.kind == FileKind::kDelete || entry.file.level == 0) continue;
    std::string name = BucketName(entry.partition, entry.bucket);
    buckets[name].push_back(&entry);
    states[name].Add(entry.file);
  }
  for (const auto& [name, entries] : buckets) {
    if (checked_.insert(name + "/" + states[name].Text()).second) {
      CheckBucket(entries, deletions, findings);
    }
  }
}

void VisibleKeyVerifier::CheckBucket(const std::vector<const ManifestEntry*>& entries,
                                     const std::map<std::string, DeletionFile>& deletions,
                                     std::vector<Finding>& findings) {
  MergeReadOptions options;
  options.fields = table_.Layout().key;
  options.drop_deletes = false;
  options.fields_of_schema = [this](int64_t id) { return table_.schemas.Get(id)->fields; };
  options.rows_of_file = [&](const DataFileMeta& file) {
    FileRows rows;
    auto place = deletions.find(file.file_name);
    if (place != deletions.end()) {
      rows.hidden = ReadDeletionVector(table_.context.files, place->second);
    }
    return rows;
  };
  std::string folder = table_.BucketFolder(entries[0]->partition, entries[0]->bucket);
  std::vector<DataFileMeta> files;
  for (const ManifestEntry* entry : entries) files.push_back(entry->file);
  try {
    std::vector<std::unique_ptr<RunKeys>> runs;
    for (SortedRun& run : PackIntoRuns(std::move(files), KeyOrder(table_.Layout().KeyTypes()))) {
      runs.push_back(std::make_unique<RunKeys>(table_, folder, std::move(run.files), options));
    }
    for (;;) {
      std::erase_if(runs, [](const auto& run) { return run->ended(); });
      if (runs.size() < 2) return;
      std::sort(runs.begin(), runs.end(),
                [](const auto& a, const auto& b) { return a->key() < b->key(); });
      if (runs[0]->key() == runs[1]->key()) {
        findings.push_back(
            {Finding::Severity::kError, files_.Short(JoinPath(folder, runs[1]->file_name())),
             fmt::format("shows the key ({}), and so does {}: one of the rows should be deleted",
                         runs[1]->KeyText(), runs[0]->file_name())});
        return;  // The first of a bucket says enough.
      }
      const string_t next = runs[1]->key();
      while (!runs[0]->ended() && runs[0]->key() < next) runs[0]->Step();
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kIo || error.code() == ErrorCode::kCancelled) throw;
    // A file or vector that cannot be read: whoever looks at it has said so.
  }
}

}  // namespace millrace
