// follow.cc - the store as a library: stream the changes of a table, and look rows up by key.
//
//   follow <folder>
//
// Each sale takes from the stock of an article. A follower reads what every commit changed, old
// rows and new ones; a till asks for single articles. docs/library.md tells the rest.
#include <iostream>

#include "catalog/catalog_store.h"
#include "duckdb/common/allocator.hpp"
#include "store.h"
#include "table/table_lookup.h"

namespace millrace {

namespace {

constexpr const char* kUser = "example-follow";

TableDefinition StockTable() {
  TableDefinition table;
  table.path = {"lake", "shop", "stock"};
  for (const auto& [name, type] :
       std::vector<std::pair<std::string, std::string>>{{"article", "STRING"}, {"pieces", "INT"}}) {
    ColumnDefinition column;
    column.name = name;
    column.type = ParseDataType(type);
    table.columns.push_back(column);
  }
  table.primary_key = {"article"};
  // Changes come with their old rows: a compaction at each commit looks those up.
  table.options = {{"bucket", "2"}, {"changelog-producer", "lookup"}};
  return table;
}

void SetStock(const Table& table, TableWriter& writer, int64_t identifier,
              const std::vector<std::pair<std::string, int>>& stock) {
  ChangeChunk chunk;
  chunk.Initialize(table.schema().DuckTypes());
  for (const auto& [article, pieces] : stock) {
    idx_t row = chunk.kinds.size();
    chunk.rows.SetValue(0, row, Value(article));
    chunk.rows.SetValue(1, row, Value::INTEGER(pieces));
    chunk.kinds.push_back(pieces == 0 ? RowKind::kDelete : RowKind::kInsert);  // Sold out.
  }
  chunk.rows.SetCardinality(chunk.kinds.size());
  writer.Write(chunk);
  table.Commit(writer.PrepareCommit(), kUser, identifier);
}

/// Prints what all snapshots from `next` on changed; returns the first that is not there yet.
int64_t Follow(const Table& table, int64_t next) {
  for (;; next++) {
    std::optional<SnapshotChanges> changes = table.PlanChanges(next);
    if (!changes) return next;
    for (const Split& split : changes->splits) {
      table.ReadChanges({split}, {0, 1}, [&](ChangeChunk& chunk) {
        for (idx_t i = 0; i < chunk.size(); i++) {
          std::cout << "  " << RowKindName(chunk.KindOf(i)) << " "
                    << chunk.rows.GetValue(0, i).ToString() << " "
                    << chunk.rows.GetValue(1, i).ToString() << "\n";
        }
      });
    }
  }
}

void LookUp(TableLookup& lookup, const std::vector<std::string>& articles) {
  DataChunk keys, rows;
  keys.Initialize(duckdb::Allocator::DefaultAllocator(), {LogicalType::VARCHAR});
  rows.Initialize(duckdb::Allocator::DefaultAllocator(), lookup.Types());
  for (idx_t i = 0; i < articles.size(); i++) keys.SetValue(0, i, Value(articles[i]));
  keys.SetCardinality(articles.size());
  SelectionVector found(kChunkRows);
  idx_t count = lookup.Find(keys, rows, found);
  for (idx_t i = 0, row = 0; i < articles.size(); i++) {
    bool is_there = row < count && found.get_index(row) == i;
    std::cout << "  " << articles[i] << ": "
              << (is_there ? rows.GetValue(0, row++).ToString() : "sold out") << "\n";
  }
}

void Run(const std::string& folder) {
  LocalStore store;
  auto catalog = MakeLakeStore(store.context(), "lake", {{"warehouse", folder}});
  catalog->CreateDatabase("shop", /*if_not_exists=*/true);
  catalog->DropTable("shop", "stock", /*if_exists=*/true);
  catalog->CreateTable(StockTable(), /*if_not_exists=*/false);
  auto table = Table::Open(store.context(), LakeTableFolder(folder, "shop", "stock"));
  auto writer = table->NewWriter(kUser);
  auto lookup = MakeTableLookup(table, {.columns = {1}, .folder = JoinPath(folder, "lookup")});

  SetStock(*table, *writer, 1, {{"bread", 20}, {"cake", 2}, {"salt", 5}});
  int64_t next = Follow(*table, 1);
  std::cout << "sales\n";
  SetStock(*table, *writer, 2, {{"bread", 17}, {"cake", 0}});
  Follow(*table, next);
  std::cout << "at the till\n";
  lookup->Refresh();
  LookUp(*lookup, {"bread", "cake", "salt"});
}

}  // namespace

}  // namespace millrace

int main(int count, char** arguments) {
  return millrace::RunExample("follow", count, arguments, millrace::Run);
}
