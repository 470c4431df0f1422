#include "meta/java_text.h"

#include <charconv>
#include <cmath>

namespace millrace {

namespace {

template <typename T>
std::string Text(T value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  if (value == 0) return std::signbit(value) ? "-0.0" : "0.0";
  char buffer[64];
  bool plain = std::abs(value) >= T(1e-3) && std::abs(value) < T(1e7);
  auto end = std::to_chars(buffer, buffer + sizeof(buffer), value,
                           plain ? std::chars_format::fixed : std::chars_format::scientific)
                 .ptr;
  std::string text(buffer, end);
  if (plain) return text.find('.') == std::string::npos ? text + ".0" : text;
  size_t e = text.find('e');
  std::string digits = text.substr(0, e);
  if (digits.find('.') == std::string::npos) digits += ".0";
  return digits + "E" + std::to_string(std::stoi(text.substr(e + 1)));
}

}  // namespace

std::string JavaText(double value) {
  return Text(value);
}
std::string JavaText(float value) {
  return Text(value);
}

}  // namespace millrace
