// table_options.h - the options of a table as typed values, and which of them Millrace cannot
// honour.
//
// Names and defaults are Paimon's (CoreOptions.java). An option that changes what a table
// means and that we do not implement is refused by name, never ignored.
#pragma once

#include "lsm/compaction.h"
#include "meta/schema.h"

namespace millrace {

enum class ChangelogProducer : uint8_t { kNone, kInput, kLookup, kFullCompaction };

struct TableOptions {
  int bucket = -1;
  ChangelogProducer changelog_producer = ChangelogProducer::kNone;
  bool changelog_row_deduplicate = false;
  std::vector<idx_t> changelog_compared;  // Columns that make a change, with row-deduplicate.
  bool force_lookup = false;
  bool lookup_wait = true;
  int full_compaction_commits = 0;  // Every so many commits; 0: only when asked for.
  bool write_only = false;
  MergeSpec merge;
  std::vector<idx_t> sequence_fields;  // Columns of the schema.
  bool sequence_descending = false;
  std::optional<idx_t> rowkind_field;
  bool ignore_update_before = false;
  bool streaming_read_overwrite = false;
  bool overwrite_upgrade = true;
  int64_t write_buffer_bytes = 256LL << 20;
  int64_t target_file_bytes = 128LL << 20;
  std::string data_prefix = "data-";
  bool thin_files = false;  // Without _KEY_ columns.
  std::string changelog_prefix = "changelog-";
  std::map<int, std::string> compression_of_level;
  std::string changelog_compression;  // Empty: as data files.
  ParquetWriteOptions parquet;
  CompactionOptions compaction;
  // Of tables without a key:
  int append_min_files = 5;                  // compaction.min.file-num
  int64_t append_file_limit = 100'000;       // compaction.file-num-limit
  double append_delete_ratio = 0.2;          // compaction.delete-ratio-threshold
  int64_t append_small_bytes = 179LL << 20;  // target-file-size * compaction.small-file-ratio
  int level_count = 6;
  int stop_trigger = 8;  // More runs of a bucket make the writer wait.
  std::optional<int64_t> compaction_interval_ms;
  int64_t manifest_target_bytes = 8LL << 20;
  int manifest_merge_min_count = 30;
  int64_t manifest_full_bytes = 16LL << 20;
  bool index_in_data_folder = false;
  int64_t dynamic_target_rows = 2'000'000;
  int dynamic_initial_buckets = 1;
  int dynamic_max_buckets = -1;  // -1: as many as there can be.
  bool deletion_vectors = false;
  bool deletion_vectors_64 = false;           // Write version 2.
  int64_t deletion_vector_bytes = 2LL << 20;  // Of an index file.
  std::vector<FileIndexSpec> file_indexes;
  int64_t file_index_in_manifest_bytes = 500;
  bool file_index_read = true;
  int commit_max_retries = 10;
  int64_t commit_min_wait_ms = 10;
  int64_t commit_max_wait_ms = 10'000;
  int64_t snapshot_retained_min = 10;
  int64_t snapshot_retained_max = 2147483647;
  int64_t snapshot_retained_ms = 3'600'000;
  int64_t snapshot_expire_limit = 50;
  int64_t split_target_bytes = 128LL << 20;
  int64_t split_open_bytes = 4LL << 20;

  /// Of primary-key tables: compactions empty level 0 and take up what lies above
  /// (MergeSpec::whole_above_level0).
  bool LooksUp() const {
    return changelog_producer == ChangelogProducer::kLookup || force_lookup || HidesLevel0();
  }
  /// Of primary-key tables: what level 0 holds is not to be seen before it is compacted, and above
  /// it no file has a row that another one hides (CoreOptions.batchScanSkipLevel0).
  bool HidesLevel0() const { return deletion_vectors || merge.engine == MergeEngine::kFirstRow; }
  /// The changelog is what compactions record.
  bool RecordsInCompactions() const {
    return changelog_producer == ChangelogProducer::kLookup ||
           changelog_producer == ChangelogProducer::kFullCompaction;
  }
};

/// Reads options of a table with `schema`'s keys. Throws: Error(kInvalid) naming option and value.
TableOptions ParseTableOptions(const TableSchema& schema, const Options& options);

/// Paimon has more options than Millrace reads, so unknown ones pass; but a name that is within two
/// letters of one that is read is a slip. `what`: "Table 'a.b.c'".
/// Throws: Error(kNotFound) with the name meant.
void RefuseMisspelled(const std::string& what, const Options& options);

/// Why Millrace cannot write to this table though it can read it; nullopt: it can.
std::optional<std::string> FindUnwritable(const TableSchema& schema, const TableOptions& options);

/// Why Millrace can neither write nor scan this table, with what is possible instead; nullopt: it
/// can.
std::optional<std::string> FindUnsupported(const TableSchema& schema, const Options& options);

}  // namespace millrace
