// Goal: variables in scripts are replaced where they are meant, and a missing one is named.
// Method: texts with definitions, defaults and look-alikes.
#include "app/script_variables.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace millrace {

TEST_CASE("Variables come from definitions, then defaults; look-alikes stay") {
  std::map<std::string, std::string> defined = {{"DIR", "/data"}};
  CHECK(ReplaceVariables("'${DIR}/a' ${DIR:-x}", "s", defined) == "'/data/a' /data");
  CHECK(ReplaceVariables("${MILLRACE_UNSET_1:-a b}", "s", defined) == "a b");
  CHECK(ReplaceVariables("${MILLRACE_UNSET_1:-}|", "s", defined) == "|");
  CHECK(ReplaceVariables("'$x' '${' '${ }' $", "s", defined) == "'$x' '${' '${ }' $");
}

TEST_CASE("A missing variable is named with its line") {
  try {
    ReplaceVariables("SELECT 1;\nSELECT ${MILLRACE_UNSET_1}", "demo.sql", {});
    FAIL("must throw");
  } catch (const Error& error) {
    CHECK(error.text().find("demo.sql:2: variable '${MILLRACE_UNSET_1}'") == 0);
  }
}

TEST_CASE("A script that is not UTF-8 is told so, with its line") {
  auto text_of = [](std::string_view script) {
    try {
      CheckScriptText(script, "s.sql");
    } catch (const Error& error) {
      return error.text();
    }
    return std::string();
  };
  CHECK(text_of("SELECT 'é \xF0\x9F\x8E\x89';\n") == "");
  CHECK(text_of("SELECT 1;\nSELECT '\xE9';").starts_with("s.sql:2: the script is not UTF-8"));
  CHECK(text_of(std::string("S\0E\0", 4)).find("UTF-16") != std::string::npos);
}

}  // namespace millrace
