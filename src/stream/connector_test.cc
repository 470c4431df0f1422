// Goal: tables with wrong connectors or options are refused with a suggestion.
// Method: a registry with one connector that knows three options.
#include "stream/connector.h"

#include <doctest/doctest.h>

#include "base/error.h"

using namespace millrace;

namespace {

class Pump : public Connector {
 public:
  std::string Name() const override { return "pump"; }
  std::vector<OptionInfo> KnownOptions() const override {
    return {{"pressure", "how hard", true}, {"fields.#.min", "least value"}, {"speed", "how fast"}};
  }
  void Validate(const TableDefinition& definition) const override {
    if (definition.options.at("pressure") == "0") Throw(ErrorCode::kInvalid, "no pressure");
  }
};

TableDefinition Table(Options options) {
  TableDefinition table;
  table.path = {"c", "d", "t"};
  table.options = std::move(options);
  return table;
}

void CheckFails(const Options& options, const char* expected) {
  ConnectorRegistry registry;
  registry.Register(std::make_unique<Pump>());
  try {
    registry.Check(Table(options));
    FAIL_CHECK("no error where it should say: " << expected);
  } catch (const Error& error) {
    CAPTURE(error.text());
    CHECK(error.text().find(expected) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("Unknown connectors and options are refused with a suggestion") {
  CheckFails({{"connector", "pomp"}}, "no connector 'pomp'; did you mean 'pump'?");
  CheckFails({{"connector", "pump"}, {"presure", "1"}},
             "no option 'presure'; did you mean 'pressure'?");
  CheckFails({{"connector", "pump"}, {"xyzzyxyzzy", "1"}},
             "its options: 'fields.#.min', 'pressure'");
  CheckFails({{"connector", "pump"}}, "needs the option 'pressure' (how hard)");
  CheckFails({{"connector", "pump"}, {"pressure", "1"}, {"fields..min", "1"}},
             "no option 'fields..min'");
  CheckFails({{"connector", "pump"}, {"pressure", "0"}}, "no pressure");
}

TEST_CASE("Known options, patterns and those of any table pass") {
  ConnectorRegistry registry;
  registry.Register(std::make_unique<Pump>());
  registry.Check(Table({{"connector", "pump"},
                        {"pressure", "1"},
                        {"fields.a.b.min", "3"},
                        {"sink.parallelism", "2"}}));
  CHECK(registry.Get("pump").GroupKey(Table({})) == "c.d.t");
  CHECK_FALSE(registry.Get("pump").CanRead());
}
