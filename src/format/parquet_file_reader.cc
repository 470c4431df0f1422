// parquet_file_reader.cc - ParquetFileReader over DuckDB's ParquetReader.
//
// When every wanted column is there in its own type, chunks are decoded straight into the caller's;
// otherwise into a chunk of the file's types, from which columns are referenced, cast or filled
// with NULL.
#include <algorithm>
#include <numeric>

#include "base/bytes.h"
#include "base/error.h"
#include "base/object_cache.h"
#include "duckdb/common/multi_file/multi_file_reader.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/main/client_data.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/planner/filter/constant_filter.hpp"
#include "format/duck_file_system.h"
#include "format/page_slices.h"
#include "format/parquet_file.h"
#include "format/row_set.h"
#include "parquet_reader.hpp"

namespace millrace {

namespace {

duckdb::ExpressionType Comparison(FilePredicate::Op op) {
  switch (op) {
    case FilePredicate::Op::kEqual:
      return duckdb::ExpressionType::COMPARE_EQUAL;
    case FilePredicate::Op::kLess:
      return duckdb::ExpressionType::COMPARE_LESSTHAN;
    case FilePredicate::Op::kLessEqual:
      return duckdb::ExpressionType::COMPARE_LESSTHANOREQUALTO;
    case FilePredicate::Op::kGreater:
      return duckdb::ExpressionType::COMPARE_GREATERTHAN;
    case FilePredicate::Op::kGreaterEqual:
      return duckdb::ExpressionType::COMPARE_GREATERTHANOREQUALTO;
  }
  MILLRACE_CHECK(false);
  return duckdb::ExpressionType::INVALID;
}

/// A damaged footer may state a decimal that DuckDB divides by zero for.
void CheckType(const LogicalType& type, const std::string& path, const std::string& column) {
  if (type.id() == LogicalTypeId::DECIMAL &&
      duckdb::DecimalType::GetScale(type) > duckdb::DecimalType::GetWidth(type)) {
    Throw(ErrorCode::kCorrupt, "Reading data file '{}': column '{}' has the impossible type {}",
          path, column, type.ToString());
  }
  if (type.id() == LogicalTypeId::LIST || type.id() == LogicalTypeId::MAP) {
    CheckType(duckdb::ListType::GetChildType(type), path, column);
  } else if (type.id() == LogicalTypeId::STRUCT) {
    for (const auto& child : duckdb::StructType::GetChildTypes(type)) {
      CheckType(child.second, path, column);
    }
  }
}

LogicalType StructOf(const duckdb::ParquetColumnSchema& schema) {
  duckdb::child_list_t<LogicalType> members;
  for (const auto& child : schema.children) members.emplace_back(child.name, child.type);
  return LogicalType::STRUCT(std::move(members));
}

/// INT96 that `wanted` has as TIMESTAMP(7-9) is read with all its nanoseconds, not with the
/// microseconds of DuckDB's default.
void ReadInt96AsNanos(duckdb::ParquetColumnSchema& schema, const DataType& wanted) {
  if (schema.type_info == duckdb::ParquetExtraTypeInfo::IMPALA_TIMESTAMP) {
    LogicalType duck = wanted.ToDuck();
    if (duck.id() == LogicalTypeId::TIMESTAMP_NS) schema.type = duck;
  } else if (schema.type.id() == LogicalTypeId::LIST && wanted.root == TypeRoot::kArray) {
    ReadInt96AsNanos(schema.children[0], wanted.children[0]);
    schema.type = LogicalType::LIST(schema.children[0].type);
  } else if (schema.type.id() == LogicalTypeId::MAP && !wanted.children.empty()) {
    auto& entries = schema.children[0];
    for (size_t i = 0; i < wanted.children.size() && i < entries.children.size(); i++) {
      ReadInt96AsNanos(entries.children[i], wanted.children[i]);
    }
    entries.type = StructOf(entries);
    schema.type = LogicalType::MAP(entries.type);
  } else if (schema.type.id() == LogicalTypeId::STRUCT) {
    for (const DataField& field : wanted.fields) {
      for (auto& child : schema.children) {
        if (child.name == field.name) ReadInt96AsNanos(child, field.type);
      }
    }
    schema.type = StructOf(schema);
  }
}

bool HasFineTimes(const DataType& type) {
  if (type.root == TypeRoot::kTimestamp || type.root == TypeRoot::kTimestampLtz)
    return type.length > 6;
  auto field_has = [](const DataField& field) { return HasFineTimes(field.type); };
  return std::any_of(type.children.begin(), type.children.end(), HasFineTimes) ||
         std::any_of(type.fields.begin(), type.fields.end(), field_has);
}

constexpr idx_t kMissing = duckdb::DConstants::INVALID_INDEX;
constexpr const char* kRowPositionName =
    "\x01"
    "position";

/// Leaves deleted rows out while DuckDB's reader decodes.
class LiveRows : public duckdb::DeleteFilter {
 public:
  explicit LiveRows(const RowSet& deleted) : deleted_(deleted) {}
  idx_t Filter(duckdb::row_t first, idx_t count, SelectionVector& live) override {
    live.Initialize(kChunkRows);
    return deleted_.SelectOthers(first, count, live);
  }

 private:
  const RowSet& deleted_;
};

/// A file's footer as it was read and checked.
struct Footer {
  duckdb::shared_ptr<duckdb::ParquetFileMetadataCache> metadata;
  std::shared_ptr<const std::vector<ChunkChecksum>> checksums;
  std::optional<FilePages> pages;
};

int64_t StatisticsInteger(const std::string& bytes) {
  return bytes.size() == 8 ? LoadLittle<int64_t>(bytes.data()) : LoadLittle<int32_t>(bytes.data());
}

/// For the many row groups of a point query, without boxed values; nullopt: nothing is known.
std::optional<bool> MayMatchInteger(FilePredicate::Op op, int64_t constant,
                                    const duckdb_parquet::ColumnMetaData& chunk) {
  const auto& statistics = chunk.statistics;
  size_t width = chunk.type == duckdb_parquet::Type::INT64 ? 8 : 4;
  if (!chunk.__isset.statistics || !statistics.__isset.min_value || !statistics.__isset.max_value ||
      statistics.min_value.size() != width || statistics.max_value.size() != width) {
    return std::nullopt;
  }
  int64_t least = StatisticsInteger(statistics.min_value);
  int64_t greatest = StatisticsInteger(statistics.max_value);
  switch (op) {
    case FilePredicate::Op::kEqual:
      return least <= constant && constant <= greatest;
    case FilePredicate::Op::kLess:
      return least < constant;
    case FilePredicate::Op::kLessEqual:
      return least <= constant;
    case FilePredicate::Op::kGreater:
      return greatest > constant;
    case FilePredicate::Op::kGreaterEqual:
      return greatest >= constant;
  }
  return std::nullopt;
}

}  // namespace

struct ParquetFileReader::State {
  State(duckdb::DatabaseInstance& database, FileSystem& files, std::string file_path)
      : connection(database), path(std::move(file_path)) {
    // The reader asks its context for the file system.
    auto own = duckdb::make_uniq<DuckFileSystem>(files);
    file_system = own.get();
    duckdb::ClientData::Get(*connection.context).client_file_system = std::move(own);
  }

  duckdb::Connection connection;
  DuckFileSystem* file_system;  // Owned by the connection.
  std::string path;
  ParquetReadOptions options;
  std::vector<FileColumn> columns;
  duckdb::vector<LogicalType> types;
  std::vector<idx_t> file_index;  // Per wanted column: its place in `file_chunk`, or kMissing.
  bool direct = true;             // The caller's chunk has the file's types.
  DataChunk file_chunk;
  duckdb::unique_ptr<duckdb::ParquetReader> reader;
  duckdb::ParquetReaderScanState scan;
  std::vector<idx_t> later_groups;  // To be scanned one by one, the last first.
  std::shared_ptr<const Footer> footer;
  int64_t rows_without_columns = 0;

  template <typename Work>
  auto Guard(Work work) {
    try {
      return work();
    } catch (const Error&) {
      throw;
    } catch (const duckdb::OutOfMemoryException&) {
      throw;
    } catch (const std::exception& exception) {
      Error error = ErrorFrom(exception, ErrorCode::kCorrupt);
      if (error.code() == ErrorCode::kCancelled) throw error;
      Throw(ErrorCode::kCorrupt, "Reading data file '{}': {}", path, error.text());
    }
  }

  void OpenReader() {
    auto& context = *connection.context;
    std::shared_ptr<const Footer>& known = footer;
    if (options.cache) known = options.cache->Find<Footer>(path);
    if (known) {
      file_system->Open(path);
    } else {
      file_system->OpenChecked(path);
    }
    reader = duckdb::make_uniq<duckdb::ParquetReader>(
        context, duckdb::OpenFileInfo(path), duckdb::ParquetOptions(),
        known ? known->metadata : duckdb::shared_ptr<duckdb::ParquetFileMetadataCache>());
    reader->parquet_options.can_have_nan = true;
    if (!known) {
      auto read = std::make_shared<Footer>();
      read->metadata = reader->metadata;
      read->checksums = std::make_shared<const std::vector<ChunkChecksum>>(Checksums());
      read->pages = Pages();
      if (options.cache)
        options.cache->Put<Footer>(path, read, FooterBytes(read->pages.has_value()));
      known = std::move(read);
    }
    // From here on column chunks are checked as they are read.
    file_system->SetChecksums(known->checksums);
  }

  /// About what the footer takes in memory.
  int64_t FooterBytes(bool has_pages) const {
    auto& metadata = *reader->GetFileMetadata();
    idx_t chunks = metadata.row_groups.size() * metadata.schema.size();
    return static_cast<int64_t>(chunks) * (has_pages ? 620 : 500) + 4096;
  }

  std::optional<FilePages> Pages() const {
    auto& metadata = *reader->GetFileMetadata();
    for (const auto& entry : metadata.key_value_metadata) {
      if (entry.key != kPagesKey) continue;
      std::optional<FilePages> pages = FilePagesFromText(entry.value);
      if (pages && Describes(*pages, metadata)) return pages;
    }
    return std::nullopt;
  }

  void Open() {
    OpenReader();
    duckdb::vector<LogicalType> file_types;
    for (const FileColumn& column : columns) {
      types.push_back(column.type.ToDuck());
      if (column.name == kRowPositionName) {
        AddRowPosition(file_types);
        continue;
      }
      idx_t found = Find(column.name);
      if (found == kMissing) {
        file_index.push_back(kMissing);
        direct = false;
        continue;
      }
      CheckType(reader->columns[found].type, path, column.name);
      if (HasFineTimes(column.type)) {
        ReadInt96AsNanos(reader->root_schema->children[found], column.type);
        reader->columns[found].type = reader->root_schema->children[found].type;
      }
      file_index.push_back(file_types.size());
      file_types.push_back(reader->columns[found].type);
      direct = direct && file_types.back() == types.back();
      reader->column_ids.push_back(duckdb::MultiFileLocalColumnId(found));
      reader->column_indexes.emplace_back(found);
    }
    std::vector<idx_t> groups = Groups();
    if (file_types.empty()) {
      CountRows(groups);
      return;
    }
    if (options.hidden) reader->deletion_filter = duckdb::make_uniq<LiveRows>(*options.hidden);
    if (options.choose_rows) ChooseRows(file_types);
    if (!direct) file_chunk.Initialize(duckdb::Allocator::DefaultAllocator(), file_types);
    if (footer->pages) groups = ReadPagesOf(groups);
    // Rows at the end of a row group that are left out DuckDB's columns skip when they next read:
    // in the next row group, if that is read by the same ones.
    if ((options.hidden || options.choose_rows) && groups.size() > 1) {
      later_groups.assign(groups.rbegin(), groups.rend() - 1);
      groups.resize(1);
    }
    reader->InitializeScan(*connection.context, scan,
                           duckdb::vector<idx_t>(groups.begin(), groups.end()));
  }

  void AddRowPosition(duckdb::vector<LogicalType>& file_types) {
    idx_t index = reader->root_schema->children.size();
    reader->AddVirtualColumn(duckdb::MultiFileReader::COLUMN_IDENTIFIER_FILE_ROW_NUMBER);
    file_index.push_back(file_types.size());
    file_types.push_back(LogicalType(LogicalTypeId::BIGINT));
    reader->column_ids.push_back(duckdb::MultiFileLocalColumnId(index));
    reader->column_indexes.emplace_back(index);
  }

  void CountRows(const std::vector<idx_t>& groups) {
    auto& row_groups = reader->GetFileMetadata()->row_groups;
    int64_t first = 0;
    idx_t next = 0;
    for (idx_t group = 0; group < row_groups.size() && next < groups.size(); group++) {
      int64_t rows = row_groups[group].num_rows;
      if (group == groups[next]) {
        next++;
        rows_without_columns += rows - (options.hidden ? options.hidden->CountIn(first, rows) : 0);
      }
      first += rows;
    }
  }

  /// Of the file's column chunks, ascending; empty when the writer left them out.
  std::vector<ChunkChecksum> Checksums() const {
    std::vector<ChunkChecksum> chunks;
    auto& metadata = *reader->GetFileMetadata();
    for (const auto& entry : metadata.key_value_metadata) {
      if (entry.key != kChecksumKey) continue;
      std::vector<uint32_t> crcs = ParseChecksumValue(entry.value);
      for (const auto& group : metadata.row_groups) {
        for (const auto& column : group.columns) {
          if (chunks.size() == crcs.size()) return {};
          const auto& chunk = column.meta_data;
          chunks.push_back({chunk.__isset.dictionary_page_offset ? chunk.dictionary_page_offset
                                                                 : chunk.data_page_offset,
                            chunk.total_compressed_size, crcs[chunks.size()]});
        }
      }
    }
    std::sort(chunks.begin(), chunks.end(),
              [](const ChunkChecksum& a, const ChunkChecksum& b) { return a.offset < b.offset; });
    return chunks;
  }

  idx_t Find(const std::string& name) const {
    for (idx_t i = 0; i < reader->columns.size(); i++) {
      if (reader->columns[i].name == name) return i;
    }
    return kMissing;
  }

  /// Equalities are tested while DuckDB decodes: other columns of rows that fail stay unread.
  void ChooseRows(const duckdb::vector<LogicalType>& file_types) {
    for (const FilePredicate& predicate : options.prune) {
      idx_t place = file_index[predicate.column];
      if (predicate.op != FilePredicate::Op::kEqual || place == kMissing ||
          file_types[place] != predicate.constant.type() || predicate.constant.IsNull()) {
        continue;
      }
      if (!reader->filters) reader->filters = duckdb::make_uniq<duckdb::TableFilterSet>();
      reader->filters->filters[place] = duckdb::make_uniq<duckdb::ConstantFilter>(
          duckdb::ExpressionType::COMPARE_EQUAL, predicate.constant);
    }
  }

  /// Row groups that may hold rows for which all of `prune` hold.
  std::vector<idx_t> Groups() {
    std::vector<idx_t> groups(reader->NumRowGroups());
    std::iota(groups.begin(), groups.end(), idx_t{0});
    for (const FilePredicate& predicate : options.prune) {
      std::erase_if(groups, [&](idx_t group) { return !MayMatch(predicate, group); });
    }
    return groups;
  }

  /// Row groups of other metadata, where pages that cannot match are left out.
  std::vector<idx_t> ReadPagesOf(const std::vector<idx_t>& groups) {
    std::vector<FilePredicate> predicates = PredicatesOnPages();
    if (predicates.empty()) return groups;
    std::vector<GroupSlice> wanted;
    bool all = true;
    for (idx_t group : groups) {
      const RowGroupPages& pages = footer->pages->row_groups[group];
      PageRange range{0, pages.least.size()};
      for (const FilePredicate& predicate : predicates) {
        if (pages.least.empty() || pages.least[0].type() != predicate.constant.type()) continue;
        PageRange matching = FindPages(pages, predicate.op, predicate.constant);
        range = {std::max(range.first, matching.first), std::min(range.end, matching.end)};
      }
      bool whole = range.first == 0 && range.end == pages.least.size();
      all = all && whole;
      if (whole) wanted.push_back({group});
      if (!whole && !range.empty()) wanted.push_back({group, range});
    }
    if (all) return groups;
    SlicedFile sliced = SlicePages(*reader->GetFileMetadata(), *footer->pages, wanted,
                                   static_cast<int64_t>(reader->GetHandle().GetFileSize()));
    auto crypto = duckdb::make_uniq<duckdb_parquet::FileCryptoMetaData>();
    reader->metadata = duckdb::make_shared_ptr<duckdb::ParquetFileMetadataCache>(
        std::move(sliced.metadata), reader->GetHandle(), nullptr, std::move(crypto), 0);
    if (!footer->checksums->empty()) {
      auto checks = std::make_shared<std::vector<ChunkChecksum>>(*footer->checksums);
      checks->insert(checks->end(), sliced.checks.begin(), sliced.checks.end());
      file_system->SetChecksums(std::move(checks));
    }
    file_system->SetParts(std::move(sliced.parts));
    return std::move(sliced.groups);
  }

  /// Those of `prune` on the column that the file is sorted by; constants as RowGroupPages has
  /// them.
  std::vector<FilePredicate> PredicatesOnPages() const {
    std::vector<FilePredicate> predicates;
    for (FilePredicate predicate : options.prune) {
      const LogicalType& type = types[predicate.column];
      idx_t found = Find(columns[predicate.column].name);
      if (!IsSortedBy(columns[predicate.column]) || found == kMissing ||
          reader->columns[found].type != type || predicate.constant.IsNull() ||
          predicate.constant.type() != type) {
        continue;
      }
      bool integer = type.id() == LogicalTypeId::BIGINT || type.id() == LogicalTypeId::INTEGER;
      LogicalType of_pages(integer ? LogicalTypeId::BIGINT : LogicalTypeId::VARCHAR);
      if (!integer && type != of_pages) continue;
      predicate.constant = predicate.constant.DefaultCastAs(of_pages);
      predicates.push_back(std::move(predicate));
    }
    return predicates;
  }

  bool MayMatch(const FilePredicate& predicate, idx_t group) {
    MILLRACE_CHECK(predicate.column < columns.size());
    idx_t found = Find(columns[predicate.column].name);
    if (found == kMissing || predicate.constant.IsNull()) return true;
    const LogicalType& type = reader->columns[found].type;
    // Statistics of another type would need a monotonous cast.
    if (type != types[predicate.column] || type.IsNested()) return true;
    Value constant = predicate.constant;
    if (!constant.DefaultTryCastAs(type)) return true;
    auto& metadata = *reader->GetFileMetadata();
    const auto& schema = reader->root_schema->children[found];
    if (type.id() == LogicalTypeId::BIGINT || type.id() == LogicalTypeId::INTEGER) {
      auto may = MayMatchInteger(predicate.op, constant.GetValue<int64_t>(),
                                 metadata.row_groups[group].columns[schema.column_index].meta_data);
      if (may) return *may;
    }
    auto statistics = reader->root_schema->children[found].Stats(
        metadata, reader->parquet_options, group, metadata.row_groups[group].columns);
    if (!statistics) return true;
    duckdb::ConstantFilter filter(Comparison(predicate.op), constant);
    return filter.CheckStatistics(*statistics) !=
           duckdb::FilterPropagateResult::FILTER_ALWAYS_FALSE;
  }

  /// Whether rows ascend by `column`, whose pages tell of it.
  bool IsSortedBy(const FileColumn& column) const {
    const std::string& sorted = footer->pages->sorted_column;
    return column.name == sorted || "_KEY_" + column.name == sorted;
  }

  std::vector<Value> LeastOfStretches(idx_t column) {
    std::vector<Value> least;
    idx_t found = Find(columns[column].name);
    if (found == kMissing || reader->columns[found].type != types[column]) return least;
    auto& metadata = *reader->GetFileMetadata();
    bool by_page = footer->pages && IsSortedBy(columns[column]);
    for (idx_t group : Groups()) {
      if (by_page && !footer->pages->row_groups[group].least.empty()) {
        for (const Value& value : footer->pages->row_groups[group].least) {
          least.push_back(value.DefaultCastAs(types[column]));
        }
        continue;
      }
      auto statistics = reader->root_schema->children[found].Stats(
          metadata, reader->parquet_options, group, metadata.row_groups[group].columns);
      if (!statistics || statistics->GetStatsType() != duckdb::StatisticsType::NUMERIC_STATS ||
          !duckdb::NumericStats::HasMin(*statistics)) {
        return {};
      }
      least.push_back(duckdb::NumericStats::Min(*statistics));
    }
    return least;
  }

  bool Scan(DataChunk& chunk) {
    while (true) {
      auto result = reader->Scan(*connection.context, scan, chunk);
      if (chunk.size() > 0) return true;
      if (result.GetResultType() != duckdb::AsyncResultType::FINISHED) continue;
      if (later_groups.empty()) return false;
      reader->InitializeScan(*connection.context, scan, {later_groups.back()});
      later_groups.pop_back();
    }
  }

  bool NextWithoutColumns(DataChunk& chunk) {
    int64_t count = std::min<int64_t>(rows_without_columns, kChunkRows);
    chunk.Reset();
    for (Vector& vector : chunk.data) SetNull(vector);
    chunk.SetCardinality(static_cast<idx_t>(count));
    rows_without_columns -= count;
    return count > 0;
  }

  static void SetNull(Vector& vector) {
    vector.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
    duckdb::ConstantVector::SetNull(vector, true);
  }

  void Assemble(DataChunk& chunk) {
    idx_t count = file_chunk.size();
    chunk.Reset();
    for (idx_t i = 0; i < columns.size(); i++) {
      Vector& target = chunk.data[i];
      if (file_index[i] == kMissing) {
        SetNull(target);
        continue;
      }
      Vector& source = file_chunk.data[file_index[i]];
      if (source.GetType() == target.GetType()) {
        target.Reference(source);
      } else if (source.GetType().id() == target.GetType().id() && !source.GetType().IsNested() &&
                 source.GetType().InternalType() == target.GetType().InternalType() &&
                 source.GetType().id() != LogicalTypeId::DECIMAL) {
        target.Reinterpret(source);  // An alias on the same bytes.
      } else {
        duckdb::VectorOperations::DefaultCast(source, target, count, true);
      }
    }
    chunk.SetCardinality(count);
  }
};

FileColumn RowPositionColumn() {
  FileColumn column;
  column.name = kRowPositionName;
  column.type.root = TypeRoot::kBigInt;
  return column;
}

ParquetFileReader::ParquetFileReader(duckdb::DatabaseInstance& database, FileSystem& files,
                                     std::string path, std::vector<FileColumn> columns,
                                     ParquetReadOptions options)
    : state_(std::make_unique<State>(database, files, std::move(path))) {
  state_->options = std::move(options);
  state_->columns = std::move(columns);
  state_->Guard([&] { state_->Open(); });
}

ParquetFileReader::~ParquetFileReader() = default;

bool ParquetFileReader::Next(DataChunk& chunk) {
  State& state = *state_;
  return state.Guard([&] {
    if (!state.scan.root_reader) return state.NextWithoutColumns(chunk);
    if (state.direct) return state.Scan(chunk);
    if (!state.Scan(state.file_chunk)) return false;
    state.Assemble(chunk);
    return true;
  });
}

const duckdb::vector<LogicalType>& ParquetFileReader::Types() const {
  return state_->types;
}

int64_t ParquetFileReader::RowCount() const {
  return static_cast<int64_t>(state_->reader->NumRows());
}

std::vector<Value> ParquetFileReader::LeastOfStretches(idx_t column) const {
  return state_->Guard([&] { return state_->LeastOfStretches(column); });
}

std::vector<std::pair<std::string, LogicalType>> ParquetFileReader::FileColumnTypes() const {
  std::vector<std::pair<std::string, LogicalType>> types;
  for (const auto& column : state_->reader->columns) types.emplace_back(column.name, column.type);
  return types;
}

}  // namespace millrace
