import Testing

@Suite struct `Sizes` {
    @Test func `a line has at most 120 characters`() {
        let paths = Repository.swift + Repository.scripts + Repository.files.filter { $0.hasSuffix(".c") }
        expectNone([Offence](in: paths) { $0.count > 120 ? "\($0.count) characters" : nil })
    }

    @Test func `a file has at most 500 lines`() {
        let long = (Repository.swift + Repository.scripts).compactMap { path in
            let lines = Repository.lines(path).count
            return lines > 500 ? Offence(path: path, line: lines, what: "too many lines") : nil
        }
        expectNone(long)
    }

    @Test func `a function has at most 70 lines`() {
        let long = Repository.swift.flatMap { path in
            FunctionLengths(Repository.lines(path)).functions.filter { $0.length > 70 }.map {
                Offence(path: path, line: $0.line, what: "\($0.length) lines: \($0.name)")
            }
        }
        expectNone(long)
    }

    @Test func `the scan sees where functions begin and end`() {
        let text: Substring = """
            struct A {
                func one() -> Int { 1 }
                package static func two(
                    a: Int
                ) {
                    if a > 0 {
                    }
                }
                init() {
                }
            }
            """
        let found = FunctionLengths(text.split(separator: "\n", omittingEmptySubsequences: false)).functions
        #expect(found.map(\.line) == [2, 3, 9])
        #expect(found.map(\.length) == [1, 6, 2])
    }
}
