import Foundation

@testable import Figaro

/// A folder that lives as long as a test.
final class TemporaryFolder {
    let path: String

    /// - Parameter parent: nil for the process's own place for such things, which other users may not be able to enter.
    init(in parent: String? = nil) throws {
        let base = parent.map { URL(filePath: $0) } ?? FileManager.default.temporaryDirectory
        let url = base.appending(path: "figaro-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        let file = "\(path)/\(name)"
        try FileManager.default.createDirectory(
            atPath: String(file[..<(file.lastIndex(of: "/") ?? file.endIndex)]), withIntermediateDirectories: true)
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        return file
    }
}

/// Decodes a node's file; the problems are empty when it is good.
func decodeNode(_ text: String) throws -> (node: NodeConfiguration?, problems: [String]) {
    let folder = try TemporaryFolder()
    let file = try folder.write("relay.yaml", text)
    let problems = Problems()
    let node = NodeConfigurationFile.load(file, problems)
    return (node, problems.list.map { $0.description.replacing(folder.path + "/", with: "") })
}

/// Decodes ipmap files by their names.
func expand(_ files: [String: String]) throws -> (map: ExpandedIPMap?, problems: [String]) {
    let folder = try TemporaryFolder()
    for (name, text) in files { try folder.write(name, text) }
    let problems = Problems()
    let map = IPMapFolder.load(folder.path, hostName: "relay.example", problems)
    return (map, problems.list.map { $0.description.replacing(folder.path + "/", with: "") })
}
