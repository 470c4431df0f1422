#include "table/write_options.h"

#include "meta/stats_collector.h"

namespace millrace {

namespace {

/// Files of level 0 are rewritten soon: they have small row groups, so that encoding starts while
/// rows are still being merged.
constexpr int64_t kYoungRowGroupRows = 32'768;

}  // namespace

RunWriteOptions DataWriteOptions(const TableState& table, const std::string& folder, int level) {
  const TableOptions& options = table.parsed;
  RunWriteOptions write;
  write.folder = folder;
  write.prefix = options.data_prefix;
  write.level = level;
  write.thin = options.thin_files;
  write.target_file_bytes = options.target_file_bytes;
  write.parquet = options.parquet;
  auto compression = options.compression_of_level.find(level);
  if (compression != options.compression_of_level.end()) {
    write.parquet.compression = compression->second;
  }
  if (level == 0 && !table.schema.primary_keys.empty()) {
    write.parquet.row_group_rows = kYoungRowGroupRows;
  }
  TableSchema schema = table.schema;  // With hints: they may ask for other statistics.
  schema.options = table.options;
  write.stats = StatsModes(schema, level);
  write.indexes = options.file_indexes;
  write.index_in_manifest_bytes = options.file_index_in_manifest_bytes;
  return write;
}

RunWriteOptions ChangelogWriteOptions(const TableState& table, const std::string& folder,
                                      int level) {
  const TableOptions& options = table.parsed;
  RunWriteOptions write = DataWriteOptions(table, folder, level);
  write.prefix = options.changelog_prefix;
  write.indexes.clear();
  if (!options.changelog_compression.empty()) {
    write.parquet.compression = options.changelog_compression;
  }
  return write;
}

}  // namespace millrace
