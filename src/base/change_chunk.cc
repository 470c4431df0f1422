#include "base/change_chunk.h"

#include "duckdb/common/allocator.hpp"

namespace millrace {

const char* RowKindName(RowKind kind) {
  constexpr const char* kNames[] = {"+I", "-U", "+U", "-D"};
  return kNames[static_cast<size_t>(kind)];
}

const char* ChangelogTypeName(ChangelogType type) {
  constexpr const char* kNames[] = {"append", "upsert", "full"};
  return kNames[static_cast<size_t>(type)];
}

void ChangeChunk::Initialize(const duckdb::vector<LogicalType>& types) {
  rows.Initialize(duckdb::Allocator::DefaultAllocator(), types);
  kinds.clear();
}

void ChangeChunk::Reset() {
  rows.Reset();
  kinds.clear();
}

void ChangeChunk::ExpandKinds() {
  if (kinds.empty()) kinds.assign(rows.size(), RowKind::kInsert);
}

}  // namespace millrace
