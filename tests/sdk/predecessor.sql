/*M!999999\- enable the sandbox mode */ 
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: callcenterdb
-- ------------------------------------------------------
-- Server version	10.11.19-MariaDB-0+deb12u1

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

--
-- Table structure for table `call_back_log`
--

DROP TABLE IF EXISTS `call_back_log`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `call_back_log` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `createDate` datetime DEFAULT NULL,
  `isSuccess` bit(1) DEFAULT NULL,
  `lastModifiedDate` datetime DEFAULT NULL,
  `responseTxt` text DEFAULT NULL,
  `taskId` varchar(255) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=6 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `call_back_log`
--

LOCK TABLES `call_back_log` WRITE;
/*!40000 ALTER TABLE `call_back_log` DISABLE KEYS */;
INSERT INTO `call_back_log` VALUES
(1,'2025-11-30 20:00:00','\0','2025-11-30 20:00:00','line one\nline two	\\ \'q\' \"d\" \0 \Z 必达','6f9619ff-8b86-4011-b42d-00c04fc964ff'),
(2,'2025-11-30 20:01:00','\0','2025-11-30 20:01:00',NULL,'6f9619ff-8b86-4011-b42d-00c04fc964ff'),
(3,'2025-11-30 20:00:01','','2025-11-30 20:00:01','success','6f9619ff-8b86-4011-b42d-00c04fc96401'),
(4,'2025-11-30 20:00:01','\0','2025-11-30 20:00:01','I/O error on GET request','6f9619ff-8b86-4011-b42d-00c04fc96402'),
(5,'2025-11-30 20:00:01','\0','2025-11-30 20:00:01','orphan','gone');
/*!40000 ALTER TABLE `call_back_log` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `callback_task`
--

DROP TABLE IF EXISTS `callback_task`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `callback_task` (
  `taskId` varchar(255) NOT NULL,
  `callCount` int(11) NOT NULL,
  `createDate` datetime DEFAULT NULL,
  `expectResult` varchar(255) DEFAULT NULL,
  `expireTimestamp` datetime DEFAULT NULL,
  `isSuccess` bit(1) DEFAULT NULL,
  `lastModifiedDate` datetime DEFAULT NULL,
  `limitCallCount` int(11) NOT NULL,
  `requestMethod` varchar(255) DEFAULT NULL,
  `requestParamTxt` text DEFAULT NULL,
  `sourceAppName` varchar(255) DEFAULT NULL,
  `sourceIp` varchar(255) DEFAULT NULL,
  `targetAppName` varchar(255) DEFAULT NULL,
  `url` varchar(255) DEFAULT NULL,
  PRIMARY KEY (`taskId`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `callback_task`
--

LOCK TABLES `callback_task` WRITE;
/*!40000 ALTER TABLE `callback_task` DISABLE KEYS */;
INSERT INTO `callback_task` VALUES
('6f9619ff-8b86-4011-b42d-00c04fc96401',1,'2025-11-30 20:00:00','success',NULL,'','2025-11-30 20:00:01',3,'GET','{\"city\":\"上海\",\"unused\":1}',NULL,'10.0.0.7',NULL,'https://partner.example/{city}'),
('6f9619ff-8b86-4011-b42d-00c04fc96402',1,'2025-11-30 20:00:00','success','2025-11-30 20:01:00','\0','2025-11-30 20:00:01',3,'GET','null','orders',NULL,'billing','http://127.0.0.1:1/ok'),
('6f9619ff-8b86-4011-b42d-00c04fc96403',3,'2025-11-30 20:00:00','success',NULL,'\0','2025-11-30 20:00:01',3,'GET','{}','orders',NULL,'billing','https://partner.example/{city}'),
('6f9619ff-8b86-4011-b42d-00c04fc964ff',2,'2025-11-30 20:00:00','success',NULL,'\0','2025-11-30 20:01:00',2,'POST','{\"order\":42,\"note\":\"it\'s \\\"quoted\\\"; 上海 👍\"}','orders','10.0.0.7','billing','https://partner.example/p?a=1;b');
/*!40000 ALTER TABLE `callback_task` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `web_hook`
--

DROP TABLE IF EXISTS `web_hook`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `web_hook` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `content` text DEFAULT NULL,
  `contentType` varchar(255) DEFAULT NULL,
  `memo` varchar(255) DEFAULT NULL,
  `requestMethod` varchar(255) DEFAULT NULL,
  `url` varchar(255) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `web_hook`
--

LOCK TABLES `web_hook` WRITE;
/*!40000 ALTER TABLE `web_hook` DISABLE KEYS */;
INSERT INTO `web_hook` VALUES
(1,'{\"msgtype\":\"text\",\"text\":{\"content\":\"回调异常，taskId：${taskId}\"}}','application/json; charset=utf-8','运维','POST','https://oapi.dingtalk.com/robot/send?access_token=t'),
(2,'not json ${taskId}','application/json; charset=utf-8','broken','POST','https://hook.example/x'),
(3,'{}','application/json','get','GET','https://hook.example/y');
/*!40000 ALTER TABLE `web_hook` ENABLE KEYS */;
UNLOCK TABLES;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed on 2026-11-23 15:02:34
