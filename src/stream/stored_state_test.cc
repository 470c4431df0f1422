// Goal: state that an earlier release has stored is read, and serves, for as long as its format's
// version is said to be known. Method: `stored_state_<n>.txt` was printed by the release that
// brought the version: the rows of three tables at some step, and for plans with every kind of
// stateful operator what a checkpoint and a second one hold. Today's program loads it, with the
// plan that there was then, takes further random steps, and must equal batch after each. How to add
// the next: docs/HACKING.md.
#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>
#include <sstream>

#include "duckdb/common/types/blob.hpp"
#include "stream/dataflow_test.h"

namespace millrace {

namespace {

constexpr const char* kStored[] = {
#include "stream/stored_state_2.txt"
#include "stream/stored_state_joins.txt"
};

struct StoredPlan {
  std::string sql;
  // How the tables accounts, moves and branches change.
  ChangelogType accounts = ChangelogType::kFull, moves = ChangelogType::kFull;
  std::vector<idx_t> sink_key = {};
  std::string batch = {};  // What the sink shows; "": the query's rows.
};

// Those of a version stay as they are: their texts are part of what is stored. New ones go to the
// end, and into the next version's file.
const std::vector<StoredPlan>& Plans() {
  using C = ChangelogType;
  static const std::vector<StoredPlan> plans = {
      // Aggregates: linear ones, ordered values, best values, distinct ones; sets; a global one.
      {"SELECT account, count(*), count(note), sum(amount), avg(amount), sum(score), avg(seq), "
       "min(day), max(note), min(amount) FROM moves GROUP BY account"},
      {"SELECT account, count(*), sum(amount), min(day), max(note), max(score) FROM moves GROUP BY "
       "account",
       C::kFull, C::kAppend},
      {"SELECT note, count(DISTINCT account), sum(DISTINCT amount), count(*) FILTER (WHERE seq > "
       "2) "
       "FROM moves GROUP BY note"},
      {"SELECT account, note, sum(amount), GROUPING(account) FROM moves GROUP BY GROUPING SETS "
       "((account, note), (account), ())"},
      {"SELECT count(*), sum(balance), max(name), count(DISTINCT branch) FROM accounts"},
      {"SELECT struct_pack(a := account, b := note) AS s, [seq, account] AS l, count(*) FROM moves "
       "GROUP BY s, l"},
      // Joins.
      {"SELECT m.note, a.name, b.city, b.opened FROM moves m JOIN accounts a ON m.account = a.id "
       "JOIN branches b ON a.branch = b.id"},
      {"SELECT x.account, x.seq, y.amount FROM moves x JOIN moves y ON x.account = y.account AND "
       "x.seq < y.seq",
       C::kFull, C::kAppend},
      {"SELECT a.id, m.amount FROM accounts a LEFT JOIN moves m ON a.id = m.account AND m.amount > "
       "a.balance"},
      {"SELECT a.id, a.branch, b.id, b.city FROM accounts a FULL JOIN branches b ON a.branch = "
       "b.id"},
      {"SELECT a.id, b.id FROM accounts a LEFT JOIN branches b ON a.branch > b.id"},
      {"SELECT * FROM accounts WHERE id IN (SELECT account FROM moves WHERE seq > 2)"},
      {"SELECT * FROM accounts WHERE branch NOT IN (SELECT account FROM moves WHERE seq < 2)"},
      {"SELECT id, branch IN (SELECT account FROM moves) AS known FROM accounts"},
      {"SELECT id, (SELECT sum(m.amount) FROM moves m WHERE m.account = a.id) FROM accounts a"},
      // Sets.
      {"SELECT DISTINCT note, day FROM moves"},
      {"SELECT id FROM accounts UNION SELECT account FROM moves"},
      {"SELECT account FROM moves EXCEPT ALL SELECT id FROM accounts"},
      {"SELECT account FROM moves INTERSECT SELECT branch FROM accounts"},
      // Order, windows, what DuckDB recomputes by partition.
      {"SELECT id, balance, name FROM accounts ORDER BY balance DESC NULLS LAST, id LIMIT 3"},
      {"SELECT account, seq FROM moves ORDER BY seq, account NULLS FIRST LIMIT 4 OFFSET 2"},
      {"SELECT id, branch, rank() OVER (PARTITION BY branch ORDER BY balance DESC) AS r, "
       "sum(balance) OVER (PARTITION BY branch) AS s FROM accounts"},
      {"SELECT DISTINCT ON (branch) branch, id, name FROM accounts ORDER BY branch, balance DESC, "
       "id"},
      {"SELECT account, string_agg(note, ',' ORDER BY note, seq), median(seq) FROM moves GROUP BY "
       "account"},
      // As a whole.
      {"WITH RECURSIVE r AS (SELECT id, branch FROM accounts WHERE branch IS NULL UNION SELECT "
       "a.id, a.branch FROM accounts a JOIN r ON a.branch = r.id) SELECT * FROM r"},
      // Rows made full by their key, and a key of the sink's own.
      {"SELECT branch, count(*), sum(balance) FROM accounts GROUP BY branch", C::kUpsert},
      {"SELECT branch, balance, id FROM accounts",
       C::kUpsert,
       C::kFull,
       {0},
       "SELECT branch, balance, id FROM (SELECT *, row_number() OVER (PARTITION BY branch ORDER BY "
       "balance DESC, id DESC) AS r FROM accounts) WHERE r = 1"},
      {"SELECT branch, name, id FROM accounts",
       C::kFull,
       C::kFull,
       {0},
       "SELECT branch, name, id FROM (SELECT *, row_number() OVER (PARTITION BY branch ORDER BY "
       "name DESC NULLS FIRST, id DESC) AS r FROM accounts) WHERE r = 1"},
      // Several joins by one key: their states, with the plan before and after there was one
      // operator
      // for them, are in stored_state_joins.txt.
      {"SELECT a.id, a.name, m.amount, m.seq, b.city FROM accounts a JOIN moves m ON a.id = "
       "m.account LEFT JOIN branches b ON a.id = b.id"},
      {"SELECT a.name, m.note, x.seq FROM accounts a LEFT JOIN moves m ON a.id = m.account LEFT "
       "JOIN moves x ON a.id = x.account",
       C::kFull, C::kAppend},
  };
  return plans;
}

void SetTypes(DataflowBench& bench, const StoredPlan& plan) {
  bench.Table("accounts").type = plan.accounts;
  bench.Table("moves").type = plan.moves;
}

/// `fingerprint`: of the plan whose state is to be loaded.
std::unique_ptr<Dataflow> Started(DataflowBench& bench, const StoredPlan& plan,
                                  const std::string& fingerprint = "") {
  DataflowOptions options;
  options.sink_key = plan.sink_key;
  bench.UseFingerprint(fingerprint);
  auto flow = bench.Compile(plan.sql, options);
  flow->Start(bench.InputTypes(*flow));
  return flow;
}

void Step(DataflowBench& bench, Dataflow& flow, idx_t changes, const ChangeReceiver& receiver) {
  for (auto& table : bench.Tables()) {
    bench.Feed(flow, table, bench.RandomChanges(table, changes), receiver);
  }
  flow.EndStep(receiver);
  bench.Publish();
}

// ---- The text. A line says what it is by its first word; one that is indented goes on with it.

std::string ToBase64(const std::string& bytes) {
  return duckdb::Blob::ToBase64(
      duckdb::string_t(bytes.data(), static_cast<uint32_t>(bytes.size())));
}
std::string FromBase64(const std::string& text) {
  return duckdb::Blob::FromBase64(
      duckdb::string_t(text.data(), static_cast<uint32_t>(text.size())));
}

void PrintPlan(size_t number, const StoredPlan& plan) {
  DataflowBench bench(700 + number);
  SetTypes(bench, plan);
  auto flow = Started(bench, plan);
  ChangeReceiver nowhere = [](ChangeChunk&) {};
  MemoryStore store;
  // A whole state, and what two further steps have changed of it.
  for (int step = 0; step < 4; step++) {
    Step(bench, *flow, 7, nowhere);
    if (step % 2 == 1) flow->Save(store);
  }
  std::cout << "plan " << number << "\n";
  for (auto& table : bench.Tables()) {
    std::cout << "table " << table.definition->path.name << "\n";
    for (const Row& row : table.rows) {
      std::cout << "row";
      for (const Value& value : row) {
        std::cout << " " << (value.IsNull() ? "-" : "'" + ToBase64(value.ToString()));
      }
      std::cout << "\n";
    }
  }
  constexpr size_t kLine = 90;
  for (auto& [key, pieces] : store.All()) {
    for (const std::string& piece : pieces) {
      std::cout << "piece " << key << "\n";
      std::string text = ToBase64(piece);
      for (size_t at = 0; at < text.size(); at += kLine) {
        std::cout << "  " << text.substr(at, kLine) << "\n";
      }
    }
  }
}

// What the file has of one plan, put into `bench` and `store`.
struct StoredText {
  size_t number = 0;
  std::vector<std::string> lines;
};

std::vector<StoredText> Parse(const std::string& text) {
  std::vector<StoredText> plans;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (line.starts_with("plan ")) {
      plans.push_back({std::stoul(line.substr(5)), {}});
      continue;
    }
    REQUIRE(!plans.empty());
    auto& of_plan = plans.back().lines;
    if (line.starts_with("  ")) {
      of_plan.back() += line.substr(2);
    } else {
      of_plan.push_back(line + (line.starts_with("piece ") ? " " : ""));
    }
  }
  return plans;
}

/// Behind magic, version, size and checksum of a frame the first piece begins with it.
std::string FingerprintIn(MemoryStore& store) {
  const std::string& piece = store.All().at("dataflow").at(0);
  constexpr size_t kAt = 4 + 2 + 4 + 8;
  uint32_t size = 0;
  REQUIRE(piece.size() > kAt + sizeof(size));
  memcpy(&size, &piece[kAt], sizeof(size));
  return piece.substr(kAt + sizeof(size), size);
}

void Fill(DataflowBench& bench, MemoryStore& store, const StoredText& stored) {
  TestTable* table = nullptr;
  for (const std::string& line : stored.lines) {
    std::istringstream words(line);
    std::string what, word;
    words >> what >> std::ws;
    if (what == "table") {
      words >> word;
      table = &bench.Table(word);
    } else if (what == "row") {
      REQUIRE(table);
      Row row;
      auto types = table->definition->ColumnTypes();
      while (words >> word) {
        const LogicalType& type = types.at(row.size());
        row.push_back(word == "-" ? Value(type)
                                  : Value(FromBase64(word.substr(1))).DefaultCastAs(type));
      }
      REQUIRE(row.size() == types.size());
      table->rows.push_back(std::move(row));
    } else {
      REQUIRE(what == "piece");
      std::string bytes;
      words >> word >> bytes;
      store.Begin(word, store.All().contains(word));
      store.Append(word, FromBase64(bytes));
    }
  }
  bench.Publish();
}

}  // namespace

TEST_CASE("State that was stored by an earlier release serves") {
  if (std::getenv("MILLRACE_PRINT_STATE")) {
    std::cout << "R\"STATE(\n";
    for (size_t i = 0; i < Plans().size(); i++) PrintPlan(i, Plans()[i]);
    std::cout << ")STATE\",\n";
    return;
  }
  for (const char* text : kStored) {
    std::vector<StoredText> all = Parse(text);
    REQUIRE(!all.empty());
    for (const StoredText& stored : all) {
      const StoredPlan& plan = Plans().at(stored.number);
      CAPTURE(plan.sql);
      DataflowBench bench(900 + stored.number);
      SetTypes(bench, plan);
      MemoryStore store;
      Fill(bench, store, stored);
      const std::string fingerprint = FingerprintIn(store);
      auto flow = Started(bench, plan, fingerprint);
      CHECK(flow->Fingerprint() == fingerprint);
      flow->Load(store);
      const std::string& batch = plan.batch.empty() ? plan.sql : plan.batch;
      Folded folded;
      folded.rows = bench.BatchAnswer(batch);  // What it had shown by then.
      ChangeReceiver receiver = folded.Receiver();
      for (int step = 0; step < 6; step++) {
        CAPTURE(step);
        Step(bench, *flow, 5, receiver);
        CHECK(folded.rows == bench.BatchAnswer(batch));
        CHECK(folded.fault.empty());
        if (step != 2) continue;
        flow->Save(store);  // As today's, after the stored pieces.
        flow = Started(bench, plan, fingerprint);
        flow->Load(store);
      }
    }
  }
}

}  // namespace millrace
