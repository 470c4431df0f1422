#include "likely_values.h"

#include <fmt/format.h>

#include "duckdb/parser/expression/between_expression.hpp"
#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/expression/comparison_expression.hpp"
#include "duckdb/parser/expression/operator_expression.hpp"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/query_node.hpp"
#include "duckdb/parser/query_node/cte_node.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "twins.h"

namespace millrace {

namespace {

using duckdb::ParsedExpression;

class ConstantFinder {
 public:
  void Visit(duckdb::QueryNode& node) {
    for (auto& entry : node.cte_map.map) {
      if (entry.second->query) Visit(*entry.second->query->node);
    }
    duckdb::ParsedExpressionIterator::EnumerateQueryNodeChildren(
        node, [this](duckdb::unique_ptr<ParsedExpression>& expression) { Visit(*expression); });
  }

  std::map<std::string, std::set<std::string>> found;

 private:
  void Visit(ParsedExpression& expression) {
    switch (expression.GetExpressionClass()) {
      case duckdb::ExpressionClass::SUBQUERY:
        Visit(*expression.Cast<duckdb::SubqueryExpression>().subquery->node);
        break;
      case duckdb::ExpressionClass::COMPARISON: {
        auto& comparison = expression.Cast<duckdb::ComparisonExpression>();
        bool takes_equal =
            expression.GetExpressionType() != duckdb::ExpressionType::COMPARE_NOTEQUAL;
        if (takes_equal) Note(*comparison.left, *comparison.right);
        if (takes_equal) Note(*comparison.right, *comparison.left);
        break;
      }
      case duckdb::ExpressionClass::BETWEEN: {
        auto& between = expression.Cast<duckdb::BetweenExpression>();
        Note(*between.input, *between.lower);
        Note(*between.input, *between.upper);
        break;
      }
      case duckdb::ExpressionClass::OPERATOR: {
        auto& in = expression.Cast<duckdb::OperatorExpression>();
        if (expression.GetExpressionType() != duckdb::ExpressionType::COMPARE_IN) break;
        for (idx_t i = 1; i < in.children.size(); i++) Note(*in.children[0], *in.children[i]);
        break;
      }
      default:
        break;
    }
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        expression, [this](ParsedExpression& child) { Visit(child); });
  }

  void Note(ParsedExpression& side, ParsedExpression& constant) {
    bool plain = true;
    std::string column;
    Columns(constant, [&](const std::string&) { plain = false; });
    Columns(side, [&](const std::string& name) { column = name; });
    if (plain && !column.empty()) found[column].insert(constant.ToString());
  }

  template <typename F>
  void Columns(ParsedExpression& expression, const F& see) {
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY) return see("");
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::COLUMN_REF) {
      return see(expression.Cast<duckdb::ColumnRefExpression>().GetColumnName());
    }
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        expression, [&](ParsedExpression& child) { Columns(child, see); });
  }
};

}  // namespace

std::map<std::string, std::set<std::string>> ComparedConstants(duckdb::Connection& connection,
                                                               const std::string& sql) {
  duckdb::Parser parser(connection.context->GetParserOptions());
  parser.ParseQuery(sql);
  ConstantFinder finder;
  finder.Visit(*parser.statements.at(0)->Cast<duckdb::SelectStatement>().node);
  return finder.found;
}

std::string WithConstants(const std::map<std::string, std::set<std::string>>& constants,
                          const duckdb::vector<std::string>& names,
                          const duckdb::vector<duckdb::LogicalType>& types,
                          const std::string& source, uint64_t seed) {
  std::string list;
  for (idx_t i = 0; i < names.size(); i++) {
    list += i ? ", " : "";
    auto found = constants.find(names[i]);
    if (found == constants.end()) {
      list += Quoted(names[i]);
      continue;
    }
    std::string draw = fmt::format("hash(_n, {}, {})", seed, i);
    list += "coalesce(CASE WHEN " + draw + " % 10 < 9 THEN CASE " + draw + " // 10 % " +
            std::to_string(found->second.size());
    idx_t number = 0;
    for (auto& text : found->second) {
      list += fmt::format(" WHEN {} THEN TRY_CAST({} AS {})", number++, text, types[i].ToString());
    }
    list += fmt::format(" END END, {0}) AS {0}", Quoted(names[i]));
  }
  return "SELECT " + list + " FROM (SELECT *, row_number() OVER () AS _n FROM " + source + ")";
}

}  // namespace millrace
