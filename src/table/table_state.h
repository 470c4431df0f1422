// table_state.h - what the parts of one opened table share: its stores, schema and options.
#pragma once

#include <atomic>

#include "table/changelog_store.h"
#include "table/consumer_store.h"
#include "table/manifest_store.h"
#include "table/schema_store.h"
#include "table/snapshot_store.h"
#include "table/table.h"
#include "table/table_options.h"
#include "table/tag_store.h"

namespace millrace {

/// Threads: safe (immutable but for the stores, which are safe).
struct TableState {
  TableState(TableContext context, std::string folder)
      : context(context),
        folder(std::move(folder)),
        snapshots(context.files, this->folder),
        schemas(context.files, this->folder),
        manifests(context.files, this->folder),
        scan_manifests(context.files, this->folder, context.cache),
        tags(context.files, this->folder),
        consumers(context.files, this->folder),
        changelogs(context.files, this->folder) {}

  TableContext context;
  std::string folder;
  TableSchema schema;
  Options options;  // Schema options with the dynamic ones over them.
  TableOptions parsed;
  std::optional<std::string> unsupported;  // Why it can neither be scanned nor written.
  std::optional<std::string> unwritable;   // Why it can only be read.
  mutable SnapshotStore snapshots;
  SchemaStore schemas;
  ManifestStore manifests;
  /// For scans: what was decoded once is not read again. Whoever writes looks at the files.
  ManifestStore scan_manifests;
  mutable TagStore tags;
  mutable ConsumerStore consumers;
  mutable ChangelogStore changelogs;
  // When partitions are looked at again: whether they are over, whether they are done.
  mutable std::atomic<int64_t> next_partition_expiry_ms{0};
  mutable std::atomic<int64_t> next_partition_done_ms{0};

  /// Rows are told apart by bucket; else all of a partition lie in bucket 0.
  bool HasBuckets() const { return HasPrimaryKey() || parsed.bucket > 0; }
  bool HasPrimaryKey() const { return !schema.primary_keys.empty(); }
  /// <table>/<k>=<v>/bucket-<b>
  std::string BucketFolder(const RowBytes& partition, int bucket) const;
  LsmContext lsm() const { return {context.files, context.clock, context.database, context.cache}; }
  /// The columns of data files: with the key of a primary-key table, without one otherwise.
  KeyValueLayout Layout() const;
  /// Throws: Error(kUnsupported) when this table needs what Millrace has not.
  void CheckSupported(const char* doing) const;
  void CheckWritable(const char* doing) const;
};

/// One name for (partition, bucket) in maps.
std::string BucketName(const RowBytes& partition, int bucket);

}  // namespace millrace
