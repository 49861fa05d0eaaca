import Foundation
import Testing

@Suite struct `Words` {
    @Test func `nothing is left for later`() {
        let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X:", "HA" + "CK"]
        let offences = [Offence](in: Repository.swift + Repository.scripts, holding: marks) { line in
            marks.first { mark in line.split { !$0.isLetter }.contains { $0 == mark } }
        }
        expectNone(offences)
    }

    @Test func `only the program prints`() {
        let targets = Repository.sources.filter { Repository.target($0) != "Figaro" }
        let offences = [Offence](in: targets, holding: ["rint(", "dump("]) { line in
            line.firstMatch(of: /(^|[^\w.])(debugPrint|print|dump)\(/) == nil ? nil : "prints"
        }
        expectNone(offences)
    }

    @Test func `unchecked sendability says why it is safe`() {
        let offences = Repository.swift.flatMap { path in
            let lines = Repository.lines(path)
            return lines.indices.compactMap { number in
                guard lines[number].contains("@unchecked" + " Sendable"), path != "Tests/TidyTests/WordTests.swift",
                    !lines[max(0, number - 6)...min(number + 3, lines.count - 1)].contains(where: {
                        $0.contains("SAFETY:")
                    })
                else { return nil as Offence? }
                return Offence(path: path, line: number + 1, what: "no // SAFETY: beside it")
            }
        }
        expectNone(offences)
    }

    @Test func `nothing a peer can reach traps`() {
        let words = ["try" + "!", "fatalError" + "(", " as" + "! "]
        expectNone([Offence](in: Repository.sources) { line in words.first { line.contains($0) } })
    }

    @Test func `nothing is public`() {
        let offences = [Offence](in: Repository.sources, holding: ["public", "open"]) { line in
            line.firstMatch(
                of: /^\s*(?:@\w+ )*(?:public|open) (?:[a-z]+ )*(?:class|struct|enum|func|var|let|init|protocol|actor)\b/
            ) == nil
                ? nil : "public"
        }
        expectNone(offences)
    }

    @Test func `no room is named after nothing`() {
        let bags = ["util", "common", "helper", "misc", "manager", "shared", "core"]
        let offences = Repository.files.filter { path in
            path.hasPrefix("Sources/") || path.hasPrefix("Tests/")
        }.filter { path in
            path.split(separator: "/").dropFirst().contains { part in
                let name = part.split(separator: ".").first.map { $0.lowercased() } ?? ""
                return bags.contains { name == $0 || name == $0 + "s" || name.hasSuffix("+" + $0) }
            }
        }
        expectNone(offences)
    }
}
