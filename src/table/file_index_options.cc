#include "table/file_index_options.h"

#include <algorithm>

#include "base/error.h"
#include "meta/options.h"

namespace millrace {

namespace {

constexpr const char* kPrefix = "file-index.";

struct IndexName {
  const char* name;
  FileIndexType type;
};

constexpr IndexName kIndexNames[] = {{"bloom-filter", FileIndexType::kBloomFilter},
                                     {"bitmap", FileIndexType::kBitmap}};

FileIndexSpec ParseSpec(const TableSchema& schema, const Options& options, const IndexName& index,
                        const std::string& option, const std::string& column) {
  std::optional<idx_t> field = schema.FindField(column);
  if (!field) {
    Throw(ErrorCode::kInvalid, "Option '{}' names column '{}', which the table has not", option,
          column);
  }
  const DataType& type = schema.fields[*field].type;
  if (!TakesFileIndex(type, index.type)) {
    Throw(ErrorCode::kInvalid, "Option '{}' names column '{}' of type {}, which a {} cannot index",
          option, column, type.ToString(), index.name);
  }
  FileIndexSpec spec;
  spec.column = column;
  spec.type = index.type;
  std::string prefix = std::string(kPrefix) + index.name + "." + column + ".";
  spec.items = GetInt(options, prefix + "items", spec.items);
  spec.fpp = GetDouble(options, prefix + "fpp", spec.fpp);
  spec.block_bytes = GetMemoryBytes(options, prefix + "index-block-size", spec.block_bytes);
  if (index.type == FileIndexType::kBloomFilter) BloomFilter(type, spec.items, spec.fpp);
  return spec;
}

}  // namespace

std::vector<FileIndexSpec> ParseFileIndexes(const TableSchema& schema, const Options& options) {
  std::vector<FileIndexSpec> specs;
  for (const IndexName& index : kIndexNames) {
    std::string option = std::string(kPrefix) + index.name + ".columns";
    for (const std::string& column : GetList(options, option)) {
      if (column.find('[') != std::string::npos) continue;
      FileIndexSpec spec = ParseSpec(schema, options, index, option, column);
      if (std::find(specs.begin(), specs.end(), spec) == specs.end()) specs.push_back(spec);
    }
  }
  return specs;
}

}  // namespace millrace
