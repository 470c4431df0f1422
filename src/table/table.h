// table.h - one Paimon table as a C++ object: open, write, commit, scan, follow.
//
// The store's front door for catalog, stream and programs without SQL. Snapshots are the only
// truth; everything here may be called by several processes on one table
// (docs/internals/commit.md).
#pragma once

#include "base/change_chunk.h"
#include "io/clock.h"
#include "io/file_system.h"
#include "io/random.h"
#include "meta/index_manifest.h"
#include "meta/schema.h"
#include "meta/snapshot.h"
#include "table/overwrite.h"

namespace duckdb {
class DatabaseInstance;
}

namespace millrace {

class MemoryBudget;
class ObjectCache;

/// What a table needs from outside; all outlive it.
struct TableContext {
  FileSystem& files;
  Clock& clock;
  Random& random;
  duckdb::DatabaseInstance& database;
  MemoryBudget* budget = nullptr;  // Shared by all write buffers; null: each has its own size only.
  ObjectCache* cache = nullptr;    // For manifests and footers; may be absent.
};

/// `column op constant` or `column IN (constants)`, used to prune (the caller evaluates its filter
/// itself): column of the schema.
struct ColumnPredicate {
  idx_t column;
  enum class Op : uint8_t { kEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn } op;
  Value constant;                     // Not with kIn.
  std::vector<Value> constants = {};  // Of kIn: the column is one of these.
};

struct ScanOptions {
  std::optional<int64_t> snapshot_id;  // Default: the latest.
  std::optional<Snapshot> snapshot =
      {};                              // Instead: this state; a tag's need not be there any more.
  std::optional<int> only_level = {};  // Only files of this level.
  std::optional<int64_t> created_since_ms = {};  // Only files that were made then or later.
  std::vector<idx_t> columns;               // Schema columns wanted, in this order; may be empty.
  std::vector<ColumnPredicate> predicates;  // All hold (AND).
  /// The state that the changes of later snapshots continue: without what compactions have not
  /// recorded yet, where changes are what they record.
  bool as_stream_start = false;
  /// Append-only tables: two columns more, the file (INTEGER, of split.files) and the row's
  /// position in it (BIGINT).
  bool positions = false;
};

/// A unit of parallel reading: one bucket's files (or a share of them), merged on read.
struct Split {
  RowBytes partition;
  int bucket = 0;
  std::vector<DataFileMeta> files;
  bool raw = false;  // No merge needed: files do not overlap and hold no deletes.
  std::map<std::string, DeletionFile> deletions = {};  // By name of the data file, if it has any.
  bool removed = false;  // Of PlanChanges: its live rows have left the table.
  int total_buckets = 0;
  /// Of a bucket that is read by key range: only keys from the one on and below the other ("": no
  /// bound), of rows as serialised keys.
  RowBytes from_key = {};
  RowBytes below_key = {};
};

/// Reads the live rows of one split.
/// Threads: one at a time. Throws: Error(kCorrupt) naming the file.
class SplitReader {
 public:
  virtual ~SplitReader() = default;
  /// Fills `chunk` with wanted columns; false at the end.
  virtual bool Next(DataChunk& chunk) = 0;
};

/// The new and removed files of one bucket: what a writer hands to the committer.
struct BucketChange {
  RowBytes partition;
  int bucket = 0;
  int total_buckets = 0;
  std::vector<DataFileMeta> new_files;
  std::vector<DataFileMeta> changelog_files;
  std::vector<DataFileMeta> compact_before;
  std::vector<DataFileMeta> compact_after;
  std::vector<DataFileMeta> compact_changelog_files;
  /// Index files that come (kAdd) and go (kDelete) with the new files, and with the compaction.
  /// Whatever replaces an index file says so with a kDelete: so a file that somebody else has
  /// replaced meanwhile is noticed.
  std::vector<IndexManifestEntry> index_changes;
  std::vector<IndexManifestEntry> compact_index_changes;
  std::string hash_index_base = {};  // HashIndexState that HASH changes were made for.
  std::string vector_base = {};  // BucketState that a compaction with deletion vectors is made for.
  std::vector<DataFileMeta> deleted_files = {};  // Rewritten by UPDATE, DELETE and the like.
  bool Empty() const {
    return new_files.empty() && changelog_files.empty() && compact_before.empty() &&
           compact_after.empty() && compact_changelog_files.empty() && index_changes.empty() &&
           compact_index_changes.empty() && deleted_files.empty();
  }
};

class FileSync;

/// Everything of one commit, as text for checkpoints (JSON).
struct Committable {
  std::vector<BucketChange> buckets;
  std::map<int, int64_t> log_offsets;
  std::optional<int64_t> watermark;
  std::map<std::string, std::string> properties;
  std::optional<OverwriteScope> overwrite;  // What the new files replace.
  /// The rows follow from what this snapshot held: whoever has changed them since is a conflict.
  std::optional<int64_t> read_snapshot;
  /// Of the files, by the writer that made them: ToJson and Commit wait for it. Null: Commit syncs.
  std::shared_ptr<FileSync> sync = nullptr;
  bool Empty() const;
  /// Throws: Error(kIo) when the files cannot be made durable. REQUIRES: `sync`, if it has files.
  std::string ToJson() const;
  static Committable FromJson(std::string_view json);
};

/// How a writer is meant to be used.
struct WriterOptions {
  bool overwrite = false;  // The table's files will be replaced: they count for nothing.
  /// Of append-only tables with buckets: commits may compact, unless the table is `write-only`.
  bool compacts = true;
};

/// What happened on the way of a commit, for logs and metrics.
struct CommitReport {
  std::string
      dropped_compaction;  // Why the compaction of this commit was given up; "" when it was not.
  int lost_races = 0;      // Snapshot ids that others took first.
};

/// Which buckets Table::Compact looks at, and how far it goes.
struct CompactRequest {
  bool full = false;  // All runs to the top level; else what compaction of a writer would do.
  std::function<bool(const RowBytes& partition)> partitions = nullptr;  // Absent: all.
  /// Of tables without key and buckets: all rows of a partition are sorted by these columns of the
  /// schema, NULL first.
  std::vector<idx_t> order_by = {};
};

class Table;
struct TableState;

/// Routes rows to (partition, bucket), buffers and sorts them, flushes runs, compacts.
/// Threads: one at a time. Throws: Error(kData) for a row that the table cannot hold, naming the
/// column.
class TableWriter {
 public:
  virtual ~TableWriter() = default;
  /// Chunks hold all columns of the schema. Append-only tables refuse other kinds than +I.
  virtual void Write(ChangeChunk& chunk) = 0;
  /// Flushes everything to files and says what to commit. The writer goes on after it, while the
  /// files are made durable.
  virtual Committable PrepareCommit() = 0;
  /// The same for one of many commits of a stream: compactions may go on in the background and be
  /// part of a later commit.
  virtual Committable PrepareStreamCommit() { return PrepareCommit(); }
  /// All runs of all touched buckets to the top level, or small files of an append-only table to
  /// large ones, at the next PrepareCommit.
  virtual void CompactFully() = 0;
};

/// Deletes rows of an append-only table by their positions in data files.
/// Threads: one at a time. Throws: Error(kUnsupported) for a table without
/// 'deletion-vectors.enabled'.
class RowDeleter {
 public:
  virtual ~RowDeleter() = default;
  /// `file` is of a split of the snapshot that the deleter was made for. Rows may be told twice.
  virtual void Delete(const Split& split, const DataFileMeta& file,
                      const std::vector<int64_t>& positions) = 0;
  /// Rows that were live and are deleted, so far.
  virtual int64_t DeletedRows() const = 0;
  /// Adds the index files that say so to `committable`, which may bring new rows too. The commit is
  /// refused (Error(kConflict)) when somebody else has changed the same files since.
  virtual void PrepareCommit(Committable& committable) = 0;
};

/// What one snapshot changed, for streaming reads.
struct SnapshotChanges {
  int64_t snapshot_id = 0;
  int64_t time_ms = 0;
  std::vector<Split> splits;  // Delta or changelog files; read with ReadChanges.
  bool full = true;           // Every row that leaves is there with its old values.
  std::map<std::string, std::string> properties;  // Of the snapshot ("millrace.group" ...).
};

/// An opened table at its latest schema.
/// Threads: safe (immutable). Throws: Error(kNotFound, kCorrupt, kIo) naming table and file.
class Table {
 public:
  /// `dynamic` options override the schema's. When they travel to an older state, the table has the
  /// schema of that state.
  static std::shared_ptr<const Table> Open(TableContext context, const std::string& folder,
                                           const Options& dynamic = {});
  /// Writes schema-0. Error(kExists).
  static std::shared_ptr<const Table> Create(TableContext context, const std::string& folder,
                                             const TableDefinition& definition);
  static bool Exists(FileSystem& files, const std::string& folder);

  const TableSchema& schema() const;
  const Options& options() const;  // Schema options with the dynamic ones over them.
  const std::string& folder() const;
  bool HasPrimaryKey() const;
  TableContext context() const;

  std::optional<Snapshot> LatestSnapshot() const;
  std::optional<Snapshot> FindSnapshot(int64_t id) const;
  std::optional<int64_t> EarliestSnapshotId() const;

  /// Live files as splits, pruned by partition, bucket, key range and statistics.
  std::vector<Split> PlanScan(const ScanOptions& options) const;
  std::unique_ptr<SplitReader> ReadSplit(const Split& split, const ScanOptions& options) const;

  /// The row kinds that a streaming read of this table can be trusted with.
  ChangelogType StreamType() const;
  /// What snapshot `id` changed; nullopt when it does not exist yet. Error(kNotFound) when expired.
  std::optional<SnapshotChanges> PlanChanges(int64_t id) const;
  /// Rows of splits of PlanChanges, one split after the other, each in commit order (key, then
  /// sequence), with their kinds. Threads of its own decode ahead where there is much to read.
  void ReadChanges(const std::vector<Split>& splits, const std::vector<idx_t>& columns,
                   const ChangeReceiver& receive) const;

  /// The changes that a writer must be given: kFull where old rows count too.
  ChangelogType InputType() const;
  /// Compacts committed files, also of a write-only table, and commits that. nullopt: there was
  /// nothing to do. Throws: Error(kConflict) when another compaction came first; a table without
  /// primary key is looked at anew then, so often as a commit is tried.
  std::optional<int64_t> Compact(const CompactRequest& request, const std::string& commit_user,
                                 int64_t identifier) const;
  /// `commit_user` is stable over restarts of one job.
  std::unique_ptr<TableWriter> NewWriter(const std::string& commit_user,
                                         const WriterOptions& options = {}) const;
  /// For rows as snapshot `snapshot_id` has them.
  std::unique_ptr<RowDeleter> NewRowDeleter(int64_t snapshot_id) const;
  /// Publishes as one or two snapshots (APPEND or OVERWRITE, COMPACT). Idempotent by (user,
  /// identifier, kind): a repeat returns the snapshot that is there. Retries lost races; true
  /// conflicts: Error(kConflict). Returns the id of the last snapshot of this commit; nullopt when
  /// there was nothing to commit. A compaction that another writer's commit has made impossible is
  /// given up when the rest can stand alone, and `report` says so; where readers would not see the
  /// rows without it, another one is made of what is there then.
  std::optional<int64_t> Commit(const Committable& committable, const std::string& commit_user,
                                int64_t identifier, CommitReport* report = nullptr) const;

  /// For what is done to a table from outside: scan_start.h, incremental.h, verify.h and their kin.
  /// Lives as long as the table.
  const TableState& state() const;

 private:
  struct State;
  explicit Table(std::shared_ptr<State> state);
  std::optional<int64_t> ShowLevel0(const std::string& commit_user, int64_t identifier) const;
  std::shared_ptr<State> state_;
};

}  // namespace millrace
