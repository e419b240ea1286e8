"""A C++ program of some size on every target: containers, streams, exceptions across a library, threads, TLS, dlopen,
locale, regular expressions; linked in several ways, each of which must say the same."""

import pytest

PROGRAM = r"""
#include <algorithm>
#include <atomic>
#include <dlfcn.h>
#include <functional>
#include <future>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <typeinfo>
#include <unordered_map>
#include <vector>
struct Shape { virtual ~Shape() {} virtual double area() const = 0; };
struct Box : Shape { double a, b; Box(double a, double b) : a(a), b(b) {} double area() const override { return a * b; } };
struct Ring : virtual Shape { double r; explicit Ring(double r) : r(r) {} double area() const override { return r * r * 3; } };
struct Error : std::runtime_error { int code; Error(int c) : std::runtime_error("code " + std::to_string(c)), code(c) {} };
int thrower(int n);
extern thread_local int library_calls;
static thread_local std::vector<std::string> log_of_thread;
static std::once_flag once;
static std::atomic<int> started;
struct Global { Global() { ++started; } ~Global() { std::cout << "bye\n"; } } global;
static std::string words(const std::string &text) {
  std::map<std::string, int> count;
  std::regex word("[a-z]+");
  for (std::sregex_iterator i(text.begin(), text.end(), word), end; i != end; ++i) count[i->str()]++;
  std::ostringstream out;
  for (const auto &row : count) out << row.first << '=' << row.second << ' ';
  return out.str();
}
template <class T> static T sum(const std::vector<T> &v) { return std::accumulate(v.begin(), v.end(), T()); }
int main(int argc, char **argv) {
  std::vector<std::unique_ptr<Shape>> shapes;
  shapes.emplace_back(new Box(2, 3)); shapes.emplace_back(new Ring(2));
  double area = 0;
  for (const auto &s : shapes) area += s->area();
  std::cout << std::fixed << std::setprecision(2) << area << ' ' << (typeid(*shapes[0]) == typeid(Box)) << ' '
            << (dynamic_cast<Ring *>(shapes[0].get()) == nullptr) << ' ' << started << '\n';
  std::cout << words("the cat the dog a cat the end") << '\n';
  std::vector<std::future<int>> results;
  for (int n = 0; n < 4; n++)
    results.push_back(std::async(std::launch::async, [n] {
      std::call_once(once, [] { started += 10; });
      log_of_thread.push_back("thread");
      try { return thrower(n); } catch (const Error &e) { return 100 * e.code + (int)log_of_thread.size() + library_calls; }
    }));
  for (auto &r : results) std::cout << r.get() << ' ';
  std::cout << started << ' ' << log_of_thread.size() << '\n';
  try { try { thrower(7); } catch (...) { std::throw_with_nested(std::logic_error("outer")); } }
  catch (const std::exception &e) {
    std::cout << e.what();
    try { std::rethrow_if_nested(e); } catch (const std::exception &inner) { std::cout << " < " << inner.what() << '\n'; }
  }
  std::unordered_map<std::string, std::function<double(double)>> table = {{"twice", [](double d) { return 2 * d; }}};
  std::cout << table.at("twice")(1.25) << ' ' << sum(std::vector<long long>{1LL << 40, 2, 3}) << ' ' << sum(std::vector<std::string>{"a", "b"}) << '\n';
  if (argc > 1) {
    void *handle = dlopen(argv[1], RTLD_NOW);
    auto f = handle ? (int (*)(int))dlsym(handle, "plugin") : nullptr;
    try { std::cout << (f ? f(1) : -1) << '\n'; } catch (const Error &e) { std::cout << "plugin threw " << e.code << '\n'; }
  }
  return 0;
}
"""
LIBRARY = r"""
#include <stdexcept>
#include <string>
struct Error : std::runtime_error { int code; Error(int c) : std::runtime_error("code " + std::to_string(c)), code(c) {} };
thread_local int library_calls;
int thrower(int n) { library_calls++; if (n & 1) throw Error(n); return n; }
extern "C" int plugin(int n) { return thrower(n); }
"""
SAID = ["18.00 1 1 1", "a=1 cat=2 dog=1 end=1 the=3 ", "0 102 2 302 11 0", "outer < code 7", "2.50 1099511627781 ab"]


@pytest.mark.parametrize("mode, flags", [
    ("dynamic", ("-no-pie",)), ("pie", ("-pie", "-Wl,-z,now", "-Wl,--gc-sections")), ("dynamic", ("-no-pie", "-Wl,--emit-relocs", "-Wl,-O2")),
    ("static", ("-static",)), ("library", ("-pie", "-Wl,--hash-style=gnu"))],
    ids=["no-pie", "pie-gc", "emit-relocs", "static", "library"])
def test_program(tc, mode, flags):
    pic = "-fPIE" if mode == "pie" else "-fPIC" if mode == "library" else "-fno-pie"
    main = tc.cxx(PROGRAM, "-O1", "-ffunction-sections", pic, name="main")
    lib = tc.cxx(LIBRARY, "-O1", "-fPIC", name="library")
    said = SAID + ["bye"]
    if mode == "library":
        shared = tc.so("liblibrary.so", lib, driver="g++")
        exe = tc.exe("prog", *flags, main, shared, "-pthread", "-ldl", driver="g++")
        out = tc.out(exe, str(shared), timeout=120)
        said = SAID + ["plugin threw 1", "bye"]
    else:
        exe = tc.exe("prog", *flags, main, lib, "-pthread", "-ldl", driver="g++")
        out = tc.out(exe, timeout=120)
    assert out.splitlines() == said


def test_linked_twice_by_way_of_r(tc):
    main = tc.cxx(PROGRAM, "-O1", "-ffunction-sections", "-fPIE", name="main")
    whole = tc.ld("all.o", "-r", main, tc.cxx(LIBRARY, "-O1", "-fPIC", name="library")).path
    assert tc.out(tc.exe("prog", "-pie", whole, "-pthread", "-ldl", driver="g++"), timeout=120).splitlines() == SAID + ["bye"]
