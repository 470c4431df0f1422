#include "sql/function_registry.h"
namespace millrace {
void RegisterCasts(FunctionRegistry& registry) {
  registry.Macro("to_text(x) AS CAST(x AS VARCHAR)");
  registry.Macro("cut_to(x, n) AS left(x, n)");
  registry.Macro("pad_to(x, n) AS rpad(x, n, ' ')");
  registry.Macro("to_integral(x) AS x");
  registry.Macro("to_precision(x, p) AS x");
}
void RegisterStrings(FunctionRegistry&) {}
void RegisterTimes(FunctionRegistry&) {}
}
