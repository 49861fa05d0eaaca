/// What a relay answers as one row of a table.
protocol TableRow: Decodable {
    /// Names of the columns.
    static var header: String { get }
    /// One line, safe to show.
    var row: String { get }
}

extension RelayOption {
    /// Asks the relay and prints what it answers while it comes: rows under their header, or one JSON object a line.
    ///
    /// - Returns: how many came.
    func list<Row: TableRow>(
        _ request: ControlRequest, of row: Row.Type, json: Bool
    ) throws -> (count: Int, end: ControlEnd) {
        var count = 0
        let end = try ask(request) { line in
            count += 1
            if json {
                Terminal.say(line)
            } else if let report = JSONLine.value(Row.self, from: line) {
                if count == 1 { Terminal.say(Row.header) }
                Terminal.say(report.row)
            }
        }
        return (count, end)
    }
}
