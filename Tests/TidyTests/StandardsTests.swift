import Foundation
import Testing

@Suite struct `Standards` {
    static let index = "Sources/Figaro/Figaro.docc/Standards.md"

    /// Numbers of the RFCs that a text names.
    static func cited(_ text: some StringProtocol) -> Set<String> {
        Set(String(text).matches(of: /RFC (\d{3,5})/).map { String($0.1) })
    }

    @Test func `every RFC that code cites is in the index`() {
        let known = Self.cited(Repository.text(Self.index))
        let offences = [Offence](in: Repository.swift, holding: ["RFC"]) { line in
            let unknown = Self.cited(line).subtracting(known)
            return unknown.isEmpty ? nil : "RFC \(unknown.sorted().joined(separator: ", ")) is not in \(Self.index)"
        }
        expectNone(offences)
    }

    @Test func `every file that the index names is there`() {
        let named = Repository.text(Self.index).matches(of: /`((?:Sources|Tests|ops)\/[^`]+)`/).map { String($0.1) }
        #expect(!named.isEmpty)
        let missing = named.filter { name in
            !Repository.files.contains(name) && !Repository.files.contains { $0.hasPrefix(name + "/") }
        }
        expectNone(missing)
    }

    @Test func `an RFC that the index has is cited by code or marked as not met`() {
        let code = Self.cited(Repository.swift.map(Repository.text).joined(separator: "\n"))
        let unfounded = Repository.lines(Self.index).filter { line in
            line.hasPrefix("| RFC") && !line.contains("| not ") && Self.cited(line).isDisjoint(with: code)
        }
        expectNone(unfounded)
    }
}
