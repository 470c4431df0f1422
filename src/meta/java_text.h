// java_text.h - numbers as Java prints them, where Paimon's bytes depend on that.
#pragma once

#include <string>

namespace millrace {

/// Double.toString and Float.toString: shortest digits, "1.5", "1.0E10", "NaN".
std::string JavaText(double value);
std::string JavaText(float value);

}  // namespace millrace
