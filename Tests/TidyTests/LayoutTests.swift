import Foundation
import Testing

@Suite struct `Layout` {
    @Test func `the top level is fixed`() {
        let fixed: Set<String> = ["Package.swift", "Sources", "Tests", "ipmaps", "ops", "README.md", "LICENSE"]
        let top = Set(Repository.files.map { String($0.prefix { $0 != "/" }) })
        #expect(top.filter { !$0.hasPrefix(".") && $0 != "Package.resolved" }.subtracting(fixed) == [])
    }

    @Test func `decisions are numbered without gaps and have their parts`() {
        let folder = "Sources/Figaro/Figaro.docc/Decisions/"
        let records = Repository.files.filter { $0.hasPrefix(folder) }.map { String($0.dropFirst(folder.count)) }
        let numbers = records.compactMap { Int($0.prefix(4)) }
        #expect(numbers.count == records.count)
        #expect(numbers.sorted() == Array(1...max(1, numbers.count)))
        for record in records {
            let text = Repository.text(folder + record)
            for part in ["## Context", "## Choice", "## What it costs", "## What would change it"] {
                #expect(text.contains(part), "\(record) has no part \(part)")
            }
        }
    }
}

@Suite struct `Scripts` {
    static let shell = Repository.scripts.filter {
        Repository.text($0).hasPrefix("#!/bin/bash") || Repository.text($0).hasPrefix("#!/bin/sh")
    }

    @Test func `a script under ops can be run`() {
        let dead = Repository.scripts.filter { path in
            (path.hasPrefix("ops/") || path.hasPrefix(".ci/")) && !path.hasSuffix(".py")
                && !FileManager.default.isExecutableFile(atPath: Repository.root.appending(path: path).path)
        }
        expectNone(dead)
    }

    @Test func `a shell script stops at the first error and at an unset name`() {
        #expect(!Self.shell.isEmpty)
        #expect(Self.shell.filter { !Repository.text($0).contains("\nset -eu") } == [])
    }

    @Test func `nobody sleeps long or without end`() {
        let offences = [Offence](in: Repository.scripts, holding: ["sleep"]) { line in
            guard let found = line.firstMatch(of: /(?:time\.sleep\(|^\s*sleep )([\d.]+)/), let seconds = Double(found.1)
            else { return nil }
            return seconds > 5 ? "sleeps \(seconds) s; wait for what is to happen" : nil
        }
        expectNone(offences)
    }

    @Test func `processes are ended by their number, not by name`() {
        let words = ["pkill", "killall"]
        let offences = [Offence](in: Repository.scripts) { line in words.first { line.contains($0) } }
        expectNone(offences)
    }
}
