// Lines of plain and gzipped files, and what is no line.
#include "core/line_reader.hpp"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

namespace orrery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LineReaderTest : public testing::Test {
  protected:
    void SetUp() override {
        file_ = std::filesystem::temp_directory_path() /
                ("orrery_line_reader_" +
                 std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    }
    void TearDown() override { std::filesystem::remove(file_); }
    void write(const std::string& bytes) { std::ofstream(file_, std::ios::binary) << bytes; }
    std::vector<std::string> lines() {
        LineReader reader(file_);
        std::vector<std::string> all;
        while (const auto line = reader.next()) all.emplace_back(*line);
        return all;
    }
    std::string error() {
        try {
            lines();
        } catch (const InputError& e) {
            return e.what();
        }
        return "";
    }
    std::filesystem::path file_;
};

TEST_F(LineReaderTest, ReadsLfAndCrLfWithOrWithoutTheLastEnd) {
    write(
        "\xef\xbb\xbf"
        "a,b\r\n\n1,\xc3\xa4\nlast");
    EXPECT_THAT(lines(), ElementsAre("a,b", "", "1,\xc3\xa4", "last"));
    write("x\n");
    EXPECT_THAT(lines(), ElementsAre("x"));
    write("");
    EXPECT_THAT(lines(), ElementsAre());
}

TEST_F(LineReaderTest, ReadsGzipAsItReadsPlainText) {
    std::string text;
    std::vector<std::string> expected;
    for (int i = 0; i < 30000; ++i) {  // several buffers long
        expected.push_back(std::string(static_cast<std::size_t>(i % 37), 'x') + std::to_string(i));
        text += expected.back() + "\n";
    }
    write(text);
    EXPECT_EQ(lines(), expected);
    gzFile gz = gzopen(file_.c_str(), "wb");
    gzwrite(gz, text.data(), static_cast<unsigned>(text.size()));
    gzclose(gz);
    EXPECT_EQ(lines(), expected);
    // Cut off within the compressed data.
    std::filesystem::resize_file(file_, std::filesystem::file_size(file_) / 2);
    EXPECT_THAT(error(), HasSubstr("must be readable, plain or gzipped"));
}

// A line of 3 MiB between two short ones: named with its number, and the next one can be read.
TEST_F(LineReaderTest, TooLongALineIsAnErrorAndCanBePassed) {
    write("a\n" + std::string(3 << 20, 'x') + "\nb\n");
    LineReader reader(file_);
    EXPECT_EQ(reader.next(), "a");
    try {
        reader.next();
        FAIL();
    } catch (const LineError& e) {
        EXPECT_THAT(e.what(), HasSubstr(":2: must be a line of at most 1048576 bytes"));
    }
    EXPECT_EQ(reader.next(), "b");
    EXPECT_EQ(reader.line(), 3);
    EXPECT_EQ(reader.next(), std::nullopt);
}

TEST_F(LineReaderTest, BytesThatAreNoTextAreNamed) {
    write(
        std::string("\xff\xfe"
                    "a\0",
                    4));
    EXPECT_THAT(error(), HasSubstr(":1: must be UTF-8 text, is UTF-16"));
    write(std::string("1,2\n3,\0", 7));
    EXPECT_THAT(error(), HasSubstr(":2: byte 3 is 0x00: must be UTF-8 text"));
    write("caf\xe9\n");  // Latin-1
    EXPECT_THAT(error(), HasSubstr(":1: byte 4 is 0xe9: must be UTF-8 text"));
}

TEST_F(LineReaderTest, MissingFilesAndDirectories) {
    EXPECT_THAT(error(), HasSubstr("must be a file that can be read"));
    EXPECT_THROW(LineReader(std::filesystem::temp_directory_path()), InputError);
}

// A ustar header by hand: name at 0, size in octal at 124, type at 156, "ustar" at 257.
TEST_F(LineReaderTest, ReadsTarArchives) {
    const auto member = [](const std::string& name, const std::string& text, char type) {
        std::string header(512, '\0');
        header.replace(0, name.size(), name);
        char size[13];
        std::snprintf(size, sizeof size, "%011o", static_cast<unsigned>(text.size()));
        header.replace(124, 11, size);
        header[156] = type;
        header.replace(257, 5, "ustar");
        std::string padded = text;
        padded.resize((text.size() + 511) / 512 * 512);
        return header + padded;
    };
    write(member("d/", "", '5') + member("d/a.csv", "1,2\n", '0') +
          member("d/b", std::string(600, 'y'), '0') + std::string(1024, '\0'));
    const auto members = read_tar(file_);
    ASSERT_EQ(members.size(), 2U);
    EXPECT_EQ(members[0].name, "d/a.csv");
    EXPECT_EQ(members[0].text, "1,2\n");
    EXPECT_EQ(members[1].text, std::string(600, 'y'));
    EXPECT_THROW(read_tar(file_, 100), InputError);
    write("no archive");
    EXPECT_THROW(read_tar(file_), InputError);
}

}  // namespace
}  // namespace orrery
