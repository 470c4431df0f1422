#include "format/page_slices.h"

#include <algorithm>

namespace millrace {

namespace {

using duckdb_parquet::ColumnChunk;
using duckdb_parquet::RowGroup;

int64_t FirstOffset(const duckdb_parquet::ColumnMetaData& chunk) {
  return chunk.__isset.dictionary_page_offset ? chunk.dictionary_page_offset
                                              : chunk.data_page_offset;
}

int64_t BytesOf(const ChunkPages& pages, size_t first, size_t end) {
  int64_t bytes = 0;
  for (size_t page = first; page < end; page++) bytes += pages[page].bytes;
  return bytes;
}

size_t PageCount(const RowGroupPages& group, int64_t rows) {
  return static_cast<size_t>((rows + group.rows - 1) / group.rows);
}

bool IsBelow(const Value& a, const Value& b) {
  if (a.type().id() == LogicalTypeId::VARCHAR) {
    return duckdb::StringValue::Get(a) < duckdb::StringValue::Get(b);
  }
  return a.GetValue<int64_t>() < b.GetValue<int64_t>();
}

class Slicer {
 public:
  Slicer(const duckdb_parquet::FileMetaData& metadata, const FilePages& pages, int64_t file_bytes)
      : from_(metadata), pages_(pages), at_(file_bytes) {
    made_.metadata = duckdb::make_uniq<duckdb_parquet::FileMetaData>();
    made_.metadata->__set_version(from_.version);
    made_.metadata->__set_schema(from_.schema);
    made_.metadata->__set_num_rows(from_.num_rows);
    if (from_.__isset.created_by) made_.metadata->__set_created_by(from_.created_by);
  }

  SlicedFile Slice(const std::vector<GroupSlice>& wanted) {
    auto next = wanted.begin();
    for (idx_t i = 0; i < from_.row_groups.size(); i++) {
      const RowGroup& group = from_.row_groups[i];
      if (next == wanted.end() || next->group != i) {
        PassOver(group.num_rows);
        continue;
      }
      if (next->pages) {
        AddPages(i, *next->pages);
      } else {
        Add(group);
      }
      ++next;
    }
    return std::move(made_);
  }

 private:
  void Add(RowGroup group) {
    made_.groups.push_back(made_.metadata->row_groups.size());
    made_.metadata->row_groups.push_back(std::move(group));
  }

  void PassOver(int64_t rows) {
    if (rows == 0) return;
    RowGroup& group = made_.metadata->row_groups.emplace_back();
    group.__set_num_rows(rows);
    // The first row group is asked how many columns there are.
    if (made_.metadata->row_groups.size() == 1) group.__set_columns(from_.row_groups[0].columns);
  }

  void AddPages(idx_t index, PageRange range) {
    const RowGroup& from = from_.row_groups[index];
    const RowGroupPages& pages = pages_.row_groups[index];
    int64_t first_row = static_cast<int64_t>(range.first) * pages.rows;
    int64_t end_row = std::min(static_cast<int64_t>(range.end) * pages.rows, from.num_rows);
    PassOver(first_row);
    RowGroup group;
    group.__set_num_rows(end_row - first_row);
    int64_t start = at_;
    for (size_t chunk = 0; chunk < from.columns.size(); chunk++) {
      group.columns.push_back(AddChunk(from.columns[chunk], pages.chunks[chunk], range));
      group.columns.back().meta_data.num_values = group.num_rows;
    }
    group.__set_total_compressed_size(at_ - start);
    Add(std::move(group));
    PassOver(from.num_rows - end_row);
  }

  ColumnChunk AddChunk(const ColumnChunk& from, const ChunkPages& pages, PageRange range) {
    ColumnChunk chunk = from;
    auto& metadata = chunk.meta_data;
    int64_t offset = FirstOffset(metadata), start = at_;
    size_t dictionaries = metadata.__isset.dictionary_page_offset ? 1 : 0;
    if (dictionaries > 0) {
      metadata.dictionary_page_offset = at_;
      AddPart(pages, 0, 1, offset);
    }
    metadata.data_page_offset = at_;
    size_t first = range.first + dictionaries;
    AddPart(pages, first, range.end + dictionaries, offset + BytesOf(pages, 0, first));
    metadata.total_compressed_size = at_ - start;
    return chunk;
  }

  void AddPart(const ChunkPages& pages, size_t first, size_t end, int64_t offset) {
    int64_t start = at_;
    for (size_t page = first; page < end; page++) {
      made_.checks.push_back({at_, pages[page].bytes, pages[page].crc});
      at_ += pages[page].bytes;
    }
    made_.parts.push_back({start, at_ - start, offset});
  }

  const duckdb_parquet::FileMetaData& from_;
  const FilePages& pages_;
  int64_t at_;  // Where the next part goes.
  SlicedFile made_;
};

}  // namespace

bool Describes(const FilePages& pages, const duckdb_parquet::FileMetaData& metadata) {
  if (pages.row_groups.size() != metadata.row_groups.size()) return false;
  for (size_t i = 0; i < pages.row_groups.size(); i++) {
    const RowGroupPages& group = pages.row_groups[i];
    const RowGroup& described = metadata.row_groups[i];
    if (group.chunks.empty()) continue;
    size_t count = PageCount(group, described.num_rows);
    if (group.chunks.size() != described.columns.size()) return false;
    if (!group.least.empty() && group.least.size() != count) return false;
    for (size_t c = 0; c < group.chunks.size(); c++) {
      const auto& chunk = described.columns[c].meta_data;
      size_t dictionaries = chunk.__isset.dictionary_page_offset ? 1 : 0;
      const ChunkPages& of_chunk = group.chunks[c];
      if (of_chunk.size() != count + dictionaries ||
          BytesOf(of_chunk, 0, of_chunk.size()) != chunk.total_compressed_size) {
        return false;
      }
    }
  }
  return true;
}

PageRange FindPages(const RowGroupPages& group, FilePredicate::Op op, const Value& constant) {
  const std::vector<Value>& least = group.least;
  auto lower = static_cast<size_t>(std::lower_bound(least.begin(), least.end(), constant, IsBelow) -
                                   least.begin());
  auto upper = static_cast<size_t>(std::upper_bound(least.begin(), least.end(), constant, IsBelow) -
                                   least.begin());
  // The page before the first one that begins with `constant` may end with it.
  size_t first = lower == 0 ? 0 : lower - 1;
  switch (op) {
    case FilePredicate::Op::kEqual:
      return {first, upper};
    case FilePredicate::Op::kLess:
      return {0, lower};
    case FilePredicate::Op::kLessEqual:
      return {0, upper};
    case FilePredicate::Op::kGreater:
    case FilePredicate::Op::kGreaterEqual:
      return {first, least.size()};
  }
  return {0, least.size()};
}

SlicedFile SlicePages(const duckdb_parquet::FileMetaData& metadata, const FilePages& pages,
                      const std::vector<GroupSlice>& wanted, int64_t file_bytes) {
  return Slicer(metadata, pages, file_bytes).Slice(wanted);
}

}  // namespace millrace
