// orders.cc - the store as a library: make a table with a key, write chunks, commit, scan.
//
//   orders <folder>
//
// A second run writes the same commits again, which changes nothing: (user, identifier) names a
// commit. docs/library.md tells the rest.
#include <iostream>

#include "catalog/catalog_store.h"
#include "duckdb/common/allocator.hpp"
#include "store.h"

namespace millrace {

namespace {

constexpr int64_t kOrders = 10'000;
constexpr const char* kUser = "example-orders";  // One job, as it is called after each restart.

TableDefinition OrdersTable() {
  TableDefinition table;
  table.path = {"lake", "shop", "orders"};
  for (const auto& [name, type] :
       std::vector<std::pair<std::string, std::string>>{{"id", "BIGINT"},
                                                        {"customer", "INT"},
                                                        {"state", "STRING"},
                                                        {"amount", "DECIMAL(12, 2)"}}) {
    ColumnDefinition column;
    column.name = name;
    column.type = ParseDataType(type);
    table.columns.push_back(column);
  }
  table.primary_key = {"id"};
  table.options = {{"bucket", "4"}};
  return table;
}

/// Orders `first`, `first` + `step`, ... as they are placed, or as they are cancelled.
void WriteOrders(TableWriter& writer, const Table& table, int64_t first, int64_t step,
                 RowKind kind) {
  ChangeChunk chunk;
  chunk.Initialize(table.schema().DuckTypes());
  for (int64_t id = first; id < kOrders;) {
    chunk.Reset();
    auto* ids = duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[0]);
    auto* customers = duckdb::FlatVector::GetData<int32_t>(chunk.rows.data[1]);
    auto* states = duckdb::FlatVector::GetData<string_t>(chunk.rows.data[2]);
    auto* cents = duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[3]);
    idx_t count = 0;
    for (; id < kOrders && count < kChunkRows; id += step, count++) {
      ids[count] = id;
      customers[count] = static_cast<int32_t>(id % 100);
      states[count] =
          duckdb::StringVector::AddString(chunk.rows.data[2], step == 1 ? "placed" : "shipped");
      cents[count] = id * 100 + 99;
      chunk.kinds.push_back(kind);
    }
    chunk.rows.SetCardinality(count);
    writer.Write(chunk);
  }
}

/// How many orders a customer has, and how much they come to, in cents.
std::pair<int64_t, int64_t> OrdersOf(const Table& table, int32_t customer) {
  ScanOptions scan;
  scan.columns = {1, 3};
  // Leaves out files and row groups; what comes may still hold others' orders.
  scan.predicates.push_back({1, ColumnPredicate::Op::kEqual, Value::INTEGER(customer)});
  int64_t orders = 0, cents = 0;
  for (const Split& split : table.PlanScan(scan)) {  // Each could have a thread of its own.
    auto reader = table.ReadSplit(split, scan);
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(),
                     {LogicalType::INTEGER, LogicalType::DECIMAL(12, 2)});
    for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) {
      UnifiedVectorFormat customers, amounts;
      chunk.data[0].ToUnifiedFormat(chunk.size(), customers);
      chunk.data[1].ToUnifiedFormat(chunk.size(), amounts);
      for (idx_t i = 0; i < chunk.size(); i++) {
        auto* of_row = UnifiedVectorFormat::GetData<int32_t>(customers);
        if (of_row[customers.sel->get_index(i)] != customer) continue;
        orders++;
        cents += UnifiedVectorFormat::GetData<int64_t>(amounts)[amounts.sel->get_index(i)];
      }
    }
  }
  return {orders, cents};
}

void Run(const std::string& folder) {
  LocalStore store;
  auto catalog = MakeLakeStore(store.context(), "lake", {{"warehouse", folder}});
  catalog->CreateDatabase("shop", /*if_not_exists=*/true);
  catalog->CreateTable(OrdersTable(), /*if_not_exists=*/true);
  auto table = Table::Open(store.context(), LakeTableFolder(folder, "shop", "orders"));

  auto writer = table->NewWriter(kUser);
  WriteOrders(*writer, *table, 0, 1, RowKind::kInsert);
  table->Commit(writer->PrepareCommit(), kUser, 1);
  // A row with a key that is there replaces it; a delete needs no more than the key to be right.
  WriteOrders(*writer, *table, 0, 2, RowKind::kUpdateAfter);
  WriteOrders(*writer, *table, 7, 10, RowKind::kDelete);
  table->Commit(writer->PrepareCommit(), kUser, 2);

  for (int32_t customer : {4, 7}) {
    auto [orders, cents] = OrdersOf(*table, customer);
    std::cout << fmt::format("customer {}: {} orders, {}.{:02}\n", customer, orders, cents / 100,
                             cents % 100);
  }
}

}  // namespace

}  // namespace millrace

int main(int count, char** arguments) {
  return millrace::RunExample("orders", count, arguments, millrace::Run);
}
