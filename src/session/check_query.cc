#include "session/check_query.h"

#include "base/error.h"
#include "sql/lexer.h"

namespace millrace {

namespace {

constexpr const char* kMissing = "'only in the query'";
constexpr const char* kSurplus = "'only in the table'";

std::string Join(const std::vector<std::string>& parts, const char* between) {
  return fmt::format("{}", fmt::join(parts, between));
}

std::string Alias(idx_t column) {
  return fmt::format("c{}", column);
}

}  // namespace

// Columns go by c0, c1, ...: the table's own names might be any.
std::string CheckQuery::List(const std::string& prefix) const {
  std::vector<std::string> names;
  for (idx_t i = 0; i < columns.size(); i++) names.push_back(prefix + Alias(i));
  return Join(names, ", ");
}

std::string CheckQuery::SameKey() const {
  std::vector<std::string> parts;
  for (idx_t i : key)
    parts.push_back(fmt::format("w.{} IS NOT DISTINCT FROM k.{}", Alias(i), Alias(i)));
  return Join(parts, " AND ");
}

// Sums of floating-point numbers depend on their order, in the last digits.
std::string CheckQuery::Close(idx_t i) const {
  std::string w = "w." + Alias(i), k = "k." + Alias(i);
  std::string same = fmt::format("{} IS NOT DISTINCT FROM {}", w, k);
  bool is_double = columns[i].type.id() == LogicalTypeId::DOUBLE;
  if (!is_double && columns[i].type.id() != LogicalTypeId::FLOAT) return same;
  const char* relative = is_double ? "1e-9" : "1e-5";
  return fmt::format(
      "({} OR coalesce(abs({} - {}) <= {} * (1 + greatest(abs({}), abs({}))), FALSE))", same, w, k,
      relative, w, k);
}

std::string CheckQuery::RowText() const {
  std::vector<std::string> parts;
  for (idx_t i = 0; i < columns.size(); i++) {
    parts.push_back(fmt::format("{}, coalesce(CAST({} AS VARCHAR), 'NULL')",
                                QuoteString(columns[i].name + "="), Alias(i)));
  }
  return "concat(" + Join(parts, ", ', ', ") + ")";
}

// Equal rows are added up, those of the table against those of the query.
std::string CheckQuery::ByRow() const {
  return fmt::format(
      "difference AS MATERIALIZED (SELECT CASE WHEN weight > 0 THEN {} ELSE {} END AS what,"
      " abs(weight) AS more, {} AS shown FROM (SELECT {}, CAST(sum(weight) AS BIGINT) AS weight"
      " FROM (SELECT {}, 1 AS weight FROM given UNION ALL SELECT {}, -1 FROM kept) GROUP BY {}"
      " HAVING sum(weight) <> 0))",
      kMissing, kSurplus, RowText(), List(), List(), List(), List());
}

std::string CheckQuery::ByKey() const {
  std::vector<std::string> keys, order, same;
  for (idx_t i : key) keys.push_back(Alias(i));
  for (idx_t i = 0; i < columns.size(); i++) {
    order.push_back(Alias(i) + " DESC NULLS FIRST");
    same.push_back(Close(i));
  }
  std::string sql = fmt::format(
      "wanted AS MATERIALIZED (SELECT {}, TRUE AS there FROM given QUALIFY row_number() OVER "
      "(PARTITION BY {} ORDER BY {}) = 1), ",
      List(), Join(keys, ", "), Join(order, ", "));
  std::string missing, surplus;
  if (any_of_key) {
    missing =
        fmt::format("SELECT {} FROM wanted AS w LEFT JOIN kept AS k ON {} WHERE k.here IS NULL",
                    List("w."), SameKey());
    surplus = fmt::format("SELECT {} FROM kept EXCEPT SELECT {} FROM given", List(), List());
  } else {
    std::string equal = Join(same, " AND ");
    missing = fmt::format(
        "SELECT {} FROM wanted AS w LEFT JOIN kept AS k ON {} WHERE NOT coalesce(k.here AND {}, "
        "FALSE)",
        List("w."), SameKey(), equal);
    surplus = fmt::format(
        "SELECT {} FROM kept AS k LEFT JOIN wanted AS w ON {} WHERE NOT coalesce(w.there AND {}, "
        "FALSE)",
        List("k."), SameKey(), equal);
  }
  return sql +
         fmt::format(
             "difference AS MATERIALIZED (SELECT {} AS what, CAST(1 AS BIGINT) AS more, {} AS "
             "shown FROM ({}) UNION ALL SELECT {}, CAST(1 AS BIGINT), {} FROM ({}))",
             kMissing, RowText(), missing, kSurplus, RowText(), surplus);
}

std::string CheckQuery::Sql() const {
  std::vector<std::string> given, stored;
  for (const std::string& query : queries) {
    given.push_back(fmt::format("SELECT * FROM ({}) AS q({})", query, List()));
  }
  for (idx_t i = 0; i < columns.size(); i++) {
    stored.push_back(QuoteName(columns[i].name) + " AS " + Alias(i));
  }
  std::string sql = fmt::format("WITH given AS MATERIALIZED ({}), kept AS MATERIALIZED ",
                                Join(given, " UNION ALL "));
  sql += table_is_empty
             ? "(SELECT *, TRUE AS here FROM given WHERE FALSE), "
             : fmt::format("(SELECT {}, TRUE AS here FROM {}), ", Join(stored, ", "), table);
  sql += key.empty() ? ByRow() : ByKey();
  sql += fmt::format(
      " SELECT what, more, shown FROM ("
      "SELECT 0 AS place, 'ok' AS what, (SELECT count(*) FROM kept) AS more, '' AS shown"
      " WHERE NOT EXISTS (SELECT 1 FROM difference)"
      " UNION ALL (SELECT row_number() OVER (ORDER BY shown, what), what, more,"
      " substring(shown, 1, 1000) FROM difference ORDER BY shown, what LIMIT {})"
      " UNION ALL SELECT {}, 'further differences', (SELECT count(*) FROM difference) - {}, ''"
      " WHERE (SELECT count(*) FROM difference) > {}) ORDER BY place",
      kShownDifferences, kShownDifferences + 1, kShownDifferences, kShownDifferences);
  return sql;
}

}  // namespace millrace
