#include "queries.h"

#include "base/error.h"
#include "stream/feed_tables.h"

namespace millrace {

namespace {

uint64_t Mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

BenchQuery MakeBenchQuery(const std::string& name, int64_t rows) {
  if (name == "sums") {
    return {"SELECT k, sum(v), count(*) FROM fact GROUP BY k",
            {{"fact", {"k", "v"}, {rows, 1000}, rows}}};
  }
  int64_t half = rows / 2;
  if (name == "join2") {
    return {"SELECT f.k, f.v, d.v AS w FROM fact f JOIN dimension d ON f.k = d.k",
            {{"fact", {"k", "v"}, {half, 1000}, half}, {"dimension", {"k", "v"}, {0, 1000}, half}}};
  }
  if (name == "mixed") {
    return {
        "SELECT d.v, sum(f.v), count(*) FROM fact f JOIN dimension d ON f.k = d.k WHERE f.v >= 5 "
        "GROUP BY d.v HAVING count(*) > 0",
        {{"fact", {"k", "v"}, {half, 1000}, half},
         {"dimension", {"k", "v"}, {0, 1 + half / 4}, half}}};
  }
  if (name == "join5") {
    int64_t eighth = rows / 8;
    BenchQuery query;
    query.sql = "SELECT f.v, a.v AS va, b.v AS vb, c.v AS vc, d.v AS vd FROM fact f ";
    query.tables.push_back({"fact", {"v"}, {1000}, half});
    for (const char* table : {"a", "b", "c", "d"}) {
      query.sql += fmt::format("JOIN {0} ON f.k{0} = {0}.k ", table);
      query.tables[0].columns.push_back(std::string("k") + table);
      query.tables[0].below.push_back(eighth);
      query.tables.push_back({table, {"k", "v"}, {0, 1000}, eighth});
    }
    return query;
  }
  Throw(ErrorCode::kNotFound, "no query '{}': there are sums, join2, join5, mixed", name);
}

void FillRows(const BenchTable& table, int64_t begin, idx_t count,
              const std::vector<idx_t>& columns, DataChunk& out) {
  for (idx_t i = 0; i < columns.size(); i++) {
    auto data = duckdb::FlatVector::GetData<int64_t>(out.data[i]);
    idx_t column = columns[i];
    auto below = static_cast<uint64_t>(table.below[column]);
    for (idx_t row = 0; row < count; row++) {
      auto number = static_cast<uint64_t>(begin) + row;
      data[row] = static_cast<int64_t>(
          below ? Mix(number * 16 + column + 1 + (table.name[0] << 4)) % below : number);
    }
  }
  out.SetCardinality(count);
}

void ShowTables(duckdb::Connection& connection, const BenchQuery& query) {
  FeedTables::Register(*connection.context->db);
  for (auto& table : query.tables) {
    FeedTables::Add(FeedTables::OfNumbers(table.name, table.columns));
    auto made = connection.Query("CREATE OR REPLACE VIEW " + table.name + " AS FROM feed('" +
                                 table.name + "')");
    if (made->HasError()) made->ThrowError();
  }
}

}  // namespace millrace
