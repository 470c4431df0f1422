// table_lookup.h - rows of a primary-key table by key, without a scan.
//
// Each data file that a key may be in is read once, whole, into a local file of small blocks
// (lsm/lookup_file.h); from then on a key costs a look into the blocks that may hold it. What is
// found is merged as a scan would. First looks are slow, later ones take microseconds.
#pragma once

#include "base/memory_budget.h"
#include "lsm/key_batches.h"
#include "lsm/lookup_file.h"
#include "lsm/row_packer.h"
#include "table/live_files.h"

namespace millrace {

struct LookupOptions {
  std::vector<idx_t> columns = {};  // Schema columns wanted, in this order.
  /// Local files lie in a folder of their own here, which goes with the lookup.
  std::string folder = {};
  /// For blocks, and for what tells which block to look into; less when the process has less.
  int64_t memory_bytes = 256LL << 20;
  int64_t disk_bytes = 16LL << 30;  // For local files; those used least recently go.
};

/// Finds rows by primary key as of one snapshot.
/// Threads: one at a time. Throws: Error(kCorrupt, kIo) naming the file.
class TableLookup {
 public:
  /// Reads nothing yet; the first Refresh or Find takes the newest snapshot.
  TableLookup(std::shared_ptr<const TableState> table, LookupOptions options);
  ~TableLookup();

  /// Moves to the newest snapshot and returns its id; 0 when the table has none.
  int64_t Refresh();
  /// Moves to one snapshot (0: nothing is there) and stays: what has expired of it is an
  /// Error(kNotFound). Local files of other snapshots are kept for a way back.
  void MoveTo(int64_t id);
  /// There is no way back.
  void ForgetFilesOfOthers();
  int64_t snapshot_id() const { return live_.at() ? live_.at()->id : 0; }
  const duckdb::vector<LogicalType>& Types() const { return types_; }
  /// `keys` has the primary key's columns in its order. Fills `rows` (of Types()) with the rows of
  /// keys that are there; found[i] is the key that row i belongs to, ascending. Returns how many.
  /// Vectors of `rows` may refer to this object until the next call. When a file has expired, the
  /// lookup moves to the newest snapshot: all of a call's rows are of one, snapshot_id()
  /// afterwards.
  idx_t Find(DataChunk& keys, DataChunk& rows, SelectionVector& found);

 private:
  struct Candidate {
    DataFileMeta file;
    std::string folder;  // Of its bucket.
    std::string min_key, max_key;
  };
  struct Version {
    int level;
    LookupEntry entry;
  };
  using Candidates = std::vector<Candidate>;

  void PlanColumns();
  void TakeSnapshot();
  void KeepWithinBudget();
  int64_t CostOf(const LookupFile& file) const;
  idx_t FindNow(DataChunk& keys, DataChunk& rows, SelectionVector& found);
  std::vector<const Candidates*> BucketsOf(DataChunk& keys, idx_t row, int32_t hash);
  const Candidates& CandidatesOf(const LiveFiles::Bucket& bucket);
  void CollectVersions(const Candidates& candidates, std::string_view key);
  std::shared_ptr<const LookupFile> FileOf(const Candidate& candidate);
  LookupFile Build(const Candidate& candidate, const std::string& path);
  bool IsDeleted(const DataFileMeta& file, int64_t position);
  /// Takes the versions at hand as the next key's.
  bool TakeWinner(idx_t target);
  void AddToBatch();
  idx_t CombineBatch(DataChunk& rows, idx_t done, SelectionVector& found);

  const std::shared_ptr<const TableState> table_;
  const LookupOptions options_;
  const KeyValueLayout layout_;
  const KeyOrder order_;
  const std::string folder_;
  duckdb::vector<LogicalType> types_;
  std::vector<idx_t> partition_;  // Columns of the key chunk.
  std::vector<idx_t> trimmed_;
  std::vector<idx_t> bucket_key_;
  std::vector<DataType> partition_types_, bucket_types_;
  MergeReadOptions read_;
  ReadPlan plan_;                            // Of merging; what lookup files hold.
  ReadPlan file_plan_;                       // The same and the position.
  std::unique_ptr<MergeFunction> function_;  // None: the newest row wins as it is.
  std::unique_ptr<BatchCombiner> combiner_;
  std::unique_ptr<RowPacker> packer_;

  LiveFiles live_;
  bool is_taken_ = false;                         // What follows is of `live_`.
  bool is_fixed_ = false;                         // By MoveTo.
  std::map<std::string, Candidates> candidates_;  // By BucketName, as they were needed.
  std::map<RowBytes, std::vector<const LiveFiles::Bucket*>> partitions_;
  std::map<std::string, DeletionFile> deletions_;
  std::map<std::string, std::shared_ptr<const RowSet>> deleted_rows_;
  LruCache<std::string, std::shared_ptr<const LookupFile>> files_;
  LookupBlockCache blocks_;
  MemoryAccount account_;
  uint32_t next_file_ = 0;

  DataChunk key_chunk_;
  std::vector<int32_t> hashes_;
  std::vector<Version> versions_;  // Of the key at hand.
  DataChunk unpacked_;             // Winners, in the plan's columns.
  KeyBatch batch_;
  std::vector<idx_t> batch_keys_;
};

/// Of `table`, which it keeps open.
std::unique_ptr<TableLookup> MakeTableLookup(const std::shared_ptr<const Table>& table,
                                             LookupOptions options);

}  // namespace millrace
