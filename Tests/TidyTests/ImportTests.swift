import Foundation
import Testing

/// Which target may import what: the architecture's table. Glibc, Synchronization and the language are everyone's.
private let allowed: [String: Set<String>] = [
    "CUnbound": [], "CIDN": [],
    "Mail": ["NIOCore"],
    "SMTP": ["Mail", "NIOCore", "NIOTLS", "NIOSSL"],
    "DNS": ["Mail", "CUnbound", "CIDN", "NIOCore", "DequeModule", "HeapModule"],
    "Queue": ["Mail", "NIOCore", "Logging", "DequeModule", "HeapModule"],
    "Storage": ["Mail", "Queue", "NIOCore", "Logging", "DequeModule", "GRDB", "GRDBSQLite", "Foundation"],
    "Filtering": ["Mail", "NIOCore", "NIOPosix", "NIOHTTP1", "Logging", "Foundation"],
    "Signing": ["Mail", "NIOCore", "NIOPosix", "Crypto", "CryptoExtras", "Foundation"],
    "Intake": [
        "Mail", "SMTP", "Filtering", "Signing", "Queue", "NIOCore", "NIOPosix", "NIOSSL", "NIOTLS", "Logging", "Crypto",
        "CryptoExtras", "FoundationEssentials",
    ],
    "Delivery": [
        "Mail", "SMTP", "DNS", "Queue", "NIOCore", "NIOPosix", "NIOSSL", "Logging", "DequeModule", "HeapModule",
    ],
    "Console": ["NIOCore", "NIOPosix", "NIOHTTP1"],
    "Figaro": [
        "Mail", "SMTP", "Filtering", "Signing", "DNS", "Queue", "Storage", "Intake", "Delivery", "Console", "NIOCore",
        "CResources", "NIOPosix", "NIOSSL", "Logging", "ArgumentParser", "Yams", "ServiceLifecycle", "UnixSignals",
        "Foundation",
    ],
]

private let everyones: Set<String> = ["Glibc", "Synchronization", "Swift", "Dispatch"]

@Suite struct `Imports` {
    static func imported(_ line: Substring) -> String? {
        guard !line.hasPrefix(" "), line.contains("import "),
            let found = line.firstMatch(of: /^(?:[@\w()]+ )*import (?:\w+ )?(\w+)/)
        else { return nil }
        return String(found.1)
    }

    @Test func `a target imports what the architecture grants it`() {
        let offences = Repository.sources.flatMap { path -> [Offence] in
            let target = Repository.target(path)
            return [Offence](in: [path]) { line in
                guard let module = Self.imported(line), !everyones.contains(module) else { return nil }
                return allowed[target]?.contains(module) == true ? nil : "\(target) may not import \(module)"
            }
        }
        expectNone(offences)
    }

    @Test func `every target stands in the table`() {
        let targets = Set(Repository.files.filter { $0.hasPrefix("Sources/") }.map(Repository.target))
        #expect(targets.subtracting(allowed.keys) == [])
    }

    @Test func `the planner has no clock, no dice and no I/O`() {
        let forbidden = [
            "ContinuousClock", "SuspendingClock", "SystemTime", "SystemRandomNumberGenerator", "Timestamp.now",
            "clock_gettime", "DispatchTime", "Date()", "arc4random", "getrandom", "Task {", "Task.sleep", "await ",
        ]
        let planner = Repository.sources.filter { path in
            path.contains("/Planner") || path.hasPrefix("Sources/Delivery/Routing/")
        }
        #expect(!planner.isEmpty)
        let offences = [Offence](in: planner) { line in
            if let module = Self.imported(line), ["Glibc", "NIOPosix", "NIOSSL", "SMTP", "Foundation"].contains(module)
            {
                return "imports \(module)"
            }
            return line.trimmed.hasPrefix("//") ? nil : forbidden.first { line.contains($0) }
        }
        expectNone(offences)
    }

    @Test func `no GRDB type leaves Storage`() {
        let offences = [Offence](in: Repository.sources.filter { Repository.target($0) == "Storage" }) { line in
            line.contains("package import " + "GRDB") ? "its API shows GRDB" : nil
        }
        expectNone(offences)
    }
}
