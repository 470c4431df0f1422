// row_deleter.cc - RowDeleter of append-only tables: new deletion vectors over the old ones.
//
// With buckets a bucket has one index file, which is written anew. Without, vectors lie in any
// number of files: those that hold a vector which changes are written anew, whole; the others stay
// (BucketedAppendDeleteFileMaintainer.java, AppendDeleteFileMaintainer.java).
#include <algorithm>
#include <set>

#include "base/error.h"
#include "format/deletion_vector.h"
#include "table/index_store.h"
#include "table/table_writer.h"
#include "table/vector_merge.h"

namespace millrace {

namespace {

class VectorRowDeleter : public RowDeleter {
 public:
  VectorRowDeleter(std::shared_ptr<const TableState> table, const Snapshot& snapshot)
      : table_(std::move(table)), writer_(*table_) {
    for (IndexManifestEntry& entry : ReadIndexEntries(*table_, snapshot)) {
      if (!entry.deletion_vectors) continue;
      index_files_[BucketName(entry.partition, entry.bucket)].push_back({std::move(entry), {}});
    }
  }

  void Delete(const Split& split, const DataFileMeta& file,
              const std::vector<int64_t>& positions) override;
  int64_t DeletedRows() const override { return deleted_rows_; }
  void PrepareCommit(Committable& committable) override;

 private:
  struct IndexFile {
    IndexManifestEntry entry;
    std::optional<DeletionVectors> vectors;  // When they were needed.
  };
  struct Bucket {
    RowBytes partition;
    int bucket = 0;
    DeletionVectors changed;            // The old and the new deletions.
    std::set<std::string> index_files;  // That hold vectors which change.
  };

  RowSet Before(const std::string& bucket_name, Bucket& bucket, const std::string& data_file);
  const DeletionVectors& VectorsOf(IndexFile& file);
  void Write(Bucket& bucket, const std::string& name, BucketChange& change);

  const std::shared_ptr<const TableState> table_;
  IndexFileWriter writer_;
  std::map<std::string, std::vector<IndexFile>> index_files_;  // By BucketName.
  std::map<std::string, Bucket> buckets_;
  int64_t deleted_rows_ = 0;
};

const DeletionVectors& VectorRowDeleter::VectorsOf(IndexFile& file) {
  if (!file.vectors) {
    file.vectors =
        DecodeDeletionVectors(ReadIndexFile(*table_, file.entry), *file.entry.deletion_vectors,
                              IndexFilePath(*table_, file.entry));
  }
  return *file.vectors;
}

/// What is deleted of `data_file` already; its index file will be replaced.
RowSet VectorRowDeleter::Before(const std::string& bucket_name, Bucket& bucket,
                                const std::string& data_file) {
  for (IndexFile& file : index_files_[bucket_name]) {
    const auto& ranges = *file.entry.deletion_vectors;
    if (std::none_of(ranges.begin(), ranges.end(), [&](const DeletionVectorRange& range) {
          return range.data_file == data_file;
        })) {
      continue;
    }
    bucket.index_files.insert(file.entry.file_name);
    return VectorsOf(file).at(data_file).Copy();
  }
  return RowSet();
}

void VectorRowDeleter::Delete(const Split& split, const DataFileMeta& file,
                              const std::vector<int64_t>& positions) {
  if (positions.empty()) return;
  std::string name = BucketName(split.partition, split.bucket);
  Bucket& bucket = buckets_[name];
  bucket.partition = split.partition;
  bucket.bucket = split.bucket;
  auto found = bucket.changed.find(file.file_name);
  if (found == bucket.changed.end()) {
    found = bucket.changed.emplace(file.file_name, Before(name, bucket, file.file_name)).first;
  }
  int64_t before = found->second.Size();
  for (int64_t position : positions) {
    MILLRACE_CHECK(position < file.row_count);
    found->second.Add(position);
  }
  deleted_rows_ += found->second.Size() - before;
}

void VectorRowDeleter::Write(Bucket& bucket, const std::string& name, BucketChange& change) {
  for (IndexFile& file : index_files_[name]) {
    if (!table_->HasBuckets() && !bucket.index_files.contains(file.entry.file_name)) continue;
    for (const auto& [data_file, vector] : VectorsOf(file)) {
      if (!bucket.changed.contains(data_file)) bucket.changed.emplace(data_file, vector.Copy());
    }
    change.index_changes.push_back(file.entry);
    change.index_changes.back().kind = FileKind::kDelete;
  }
  IndexManifestEntry where;
  where.partition = bucket.partition;
  where.bucket = bucket.bucket;
  for (IndexManifestEntry& made : WriteVectors(*table_, where, bucket.changed, writer_)) {
    change.index_changes.push_back(std::move(made));
  }
}

void VectorRowDeleter::PrepareCommit(Committable& committable) {
  for (auto& [name, bucket] : buckets_) {
    auto change = std::find_if(
        committable.buckets.begin(), committable.buckets.end(), [&](const BucketChange& other) {
          return other.partition == bucket.partition && other.bucket == bucket.bucket;
        });
    if (change == committable.buckets.end()) {
      BucketChange made;
      made.partition = bucket.partition;
      made.bucket = bucket.bucket;
      made.total_buckets = table_->parsed.bucket;
      change = committable.buckets.insert(change, std::move(made));
    }
    Write(bucket, name, *change);
  }
  buckets_.clear();
}

}  // namespace

std::unique_ptr<RowDeleter> MakeRowDeleter(std::shared_ptr<const TableState> table,
                                           int64_t snapshot_id) {
  if (table->HasPrimaryKey()) {
    Throw(ErrorCode::kUnsupported,
          "Cannot delete rows of table {} by position: it has a primary key, write deletes by key.",
          table->folder);
  }
  if (!table->parsed.deletion_vectors) {
    Throw(ErrorCode::kUnsupported,
          "Cannot delete single rows of table {}: set the option 'deletion-vectors.enabled' = "
          "'true' first.",
          table->folder);
  }
  std::optional<Snapshot> snapshot = table->snapshots.Find(snapshot_id);
  if (!snapshot) {
    Throw(ErrorCode::kNotFound, "Cannot delete rows of table {}: snapshot {} has expired.",
          table->folder, snapshot_id);
  }
  return std::make_unique<VectorRowDeleter>(std::move(table), *snapshot);
}

}  // namespace millrace
