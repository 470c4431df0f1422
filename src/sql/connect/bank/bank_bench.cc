// bank_bench.cc - how fast the bank gives its changes: transactions a second, and what a Seek
// costs.
#include <chrono>
#include <cstdio>
#include <sstream>

#include "duckdb/main/database.hpp"
#include "io/clock.h"
#include "sql/connect/bank/bank.h"
#include "sql/connect/bank/bank_schema.h"

using namespace millrace;

namespace {

double Seconds(const std::function<void()>& run) {
  auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::unique_ptr<Source> MakeBank(Environment& environment, const std::string& transactions,
                                 const std::string& format) {
  ConnectorRegistry registry;
  RegisterBankConnector(registry);
  std::vector<SourceTable> tables;
  for (const char* name : {"branches", "customers", "accounts", "transactions", "loans"}) {
    auto table = std::make_shared<TableDefinition>();
    table->path = {"c", "d", name};
    table->options = {
        {"connector", "bank"}, {"table", name}, {"format", format}, {"transactions", transactions}};
    SourceTable wanted;
    for (const DataField& field : BankColumns(BankTableOf(*table))) {
      wanted.columns.push_back(table->columns.size());
      ColumnDefinition column;
      column.name = field.name;
      column.type = field.type;
      table->columns.push_back(std::move(column));
    }
    wanted.definition = std::move(table);
    tables.push_back(std::move(wanted));
  }
  return registry.Get("bank").MakeSource(environment, tables, false);
}

}  // namespace

int main() {
  auto files = MakeLocalFileSystem();
  auto clock = MakeSystemClock();
  Random random(1);
  duckdb::DuckDB database(nullptr);
  std::ostringstream out;
  Environment environment{*files, *clock, random, *database.instance, "", out};
  for (const auto& [format, transactions] :
       {std::pair("rows", "5000000"), std::pair("debezium-json", "200000")}) {
    auto source = MakeBank(environment, transactions, format);
    int64_t rows = 0;
    double seconds = Seconds([&] {
      while (source->Read({}, [&](idx_t, ChangeChunk& chunk) { rows += chunk.size(); }) !=
             SourceStatus::kEnd) {
      }
    });
    double count = std::atof(transactions);
    std::printf("bank %-14s %8.2f M transactions/s %8.2f M rows/s\n", format, count / seconds / 1e6,
                static_cast<double>(rows) / seconds / 1e6);
    auto other = MakeBank(environment, transactions, format);
    double seek = Seconds([&] { other->Seek(source->Position()); });
    std::printf("bank %-14s %8.2f M transactions/s sought\n", format, count / seek / 1e6);
  }
}
