#!/usr/bin/env python3
"""Runs SQL statements, one a line, in an embedded Spark; the protocol is FlinkSql.java's.

  spark_sql.py SCRIPT WAREHOUSE JAR"""
import json
import sys

from pyspark.sql import SparkSession


def text_of(value):
    if isinstance(value, (bytes, bytearray)):
        return f"x'{value.hex()}'"
    return None if value is None else str(value)


def main(script, warehouse, jar):
    builder = SparkSession.builder.master("local[2]").appName("interop")
    for key, value in {
            "spark.jars": jar, "spark.sql.catalog.lake": "org.apache.paimon.spark.SparkCatalog",
            "spark.sql.catalog.lake.warehouse": warehouse, "spark.ui.enabled": "false",
            "spark.sql.extensions": "org.apache.paimon.spark.extensions.PaimonSparkSessionExtensions",
            "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1", "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": "2", "spark.ui.showConsoleProgress": "false"}.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    spark.sql("USE lake")
    with open(script, encoding="utf-8") as file:
        statements = file.read().splitlines()
    for number, statement in enumerate(statements):
        print(f"#{number}", flush=True)
        result = spark.sql(statement)
        if statement.startswith("SELECT"):
            for row in result.collect():
                print(json.dumps([text_of(value) for value in row]), flush=True)
    print("#end", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
